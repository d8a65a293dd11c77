"""The voters of S2iamMask: masks of several candidates, from a SiamMask that refines.

Letters for shapes: K search windows with n x n cells in the response map, T candidates (voters) of
each, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmvos.ops.siamese_geometry import TEMPLATE_SIZE, mask_corner

from .anchors import ANCHORS_PER_CELL
from .state import SearchResponse


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
    numbers = torch.arange(count, device=best.device)
    window = numbers.repeat_interleave(voters)
    row = cell // cells_in_a_row
    column = cell % cells_in_a_row
    index = torch.stack([window, row, column], dim=1)

    # (K * T, C) -> (K * T, 127, 127)
    cells = torch.stack([row, column], dim=1)
    kernels = response.kernels[window]
    search = response.search[window]
    responses = neck.correlate_at(kernels, search, cells)
    patches = features.mask_patches(response.features, index)
    logits = head.refine(responses, patches)
    logits = logits.float()

    # (K * T, 5): where the masks lie in their windows
    left, top = mask_corner(row, column)
    right = left + TEMPLATE_SIZE
    bottom = top + TEMPLATE_SIZE
    corners = torch.stack([window, left, top, right, bottom], dim=1)
    return logits, corners.float()


def fine_levels(features: Any) -> tuple[Tensor, ...]:
    """Return stage 2, stage 1 and stem, where the features of windows are these levels."""
    return features[::-1] if isinstance(features, tuple) else ()
