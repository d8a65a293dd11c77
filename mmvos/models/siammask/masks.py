"""What SiamMask's tracker does with masks: those of several candidates, and what follows from them.

Letters for shapes: K search windows with n x n cells in the response map, T candidates (voters) of
each, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmvos.ops.polygons import MIN_AREA
from mmvos.ops.siamese_geometry import BORDER_CELLS, STRIDE, TEMPLATE_SIZE

from .anchors import ANCHORS_PER_CELL
from .state import SearchResponse
from .voting import VotingMaskHead


def refine_voters(
    response: SearchResponse, best: Tensor, neck: Any, features: Any, head: Any
) -> tuple[Tensor, Tensor]:
    """Refine the masks of several candidates of each window.

    Args:
        response: of the search windows.
        best: (K, T) flat indices of anchors.
        neck, features, head: of the tracker; the head has a ``MaskRefiner``.

    Returns:
        Logits (K * T, 127, 127), and (K * T, 5): window, and corners of where the masks lie.
    """
    # (K * T, 3): window, row and column of each
    count, voters = best.shape
    places = response.scores.shape[1] // ANCHORS_PER_CELL
    cells_in_a_row = round(places**0.5)
    cell = best.flatten() % places
    window = torch.arange(count, device=best.device).repeat_interleave(voters)
    row = cell // cells_in_a_row
    column = cell % cells_in_a_row
    index = torch.stack([window, row, column], dim=1)

    # (K * T, C) -> (K * T, 127, 127)
    cells = list(zip(row.tolist(), column.tolist(), strict=True))
    responses = neck.correlate_at(response.kernels[window], response.search[window], cells)
    patches = features.mask_patches(response.features, index)
    logits = head.refine(responses, patches).float()

    # A cell's mask begins BORDER_CELLS before it.
    left = (column - BORDER_CELLS) * STRIDE
    top = (row - BORDER_CELLS) * STRIDE
    corners = [window, left, top, left + TEMPLATE_SIZE, top + TEMPLATE_SIZE]
    return logits, torch.stack(corners, dim=1).float()


def fine_levels(features: Any) -> tuple[Tensor, ...]:
    """Return stage 2, stage 1 and stem, where the features of windows are these levels."""
    return features[::-1] if isinstance(features, tuple) else ()


def min_followed_area(follow_mask: bool | None, voting: nn.Module | None) -> float | None:
    """Return the pixels from which on the box of a mask is followed; None where the anchor's is.

    Args:
        follow_mask: see ``SiameseTracker``.
        voting: its voting head.
    """
    if follow_mask is None:
        follow_mask = voting is not None
    if not follow_mask:
        return None
    return voting.min_area if isinstance(voting, VotingMaskHead) else MIN_AREA


def center_probabilities(probabilities: Tensor, threshold: float) -> Tensor:
    """Stretch probabilities so that ``threshold`` comes to lie at .5.

    There masks are cut when objects are merged.

    Args:
        probabilities: float, any shape; below 0 counts as 0.
        threshold: in (0, 1).

    Returns:
        Values in [0, 1] in the same order, above .5 exactly where the input is above the threshold.
    """
    # From 0 to the threshold: 0 to .5, not included.
    stretch = 0.5 / threshold
    below = probabilities.clamp(min=0) * stretch
    below = below.clamp(max=0.5 - 1e-7)

    # From the threshold to 1: .5 to 1, again without .5.
    stretch = 0.5 / (1 - threshold)
    above = 0.5 + (probabilities - threshold) * stretch
    above = above.clamp(0.5 + 1e-7, 1)

    is_above = probabilities > threshold
    return torch.where(is_above, above, below)
