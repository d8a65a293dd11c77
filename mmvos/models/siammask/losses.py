"""Losses of a siamese tracker with masks (Wang et al., Fast Online Object Tracking and
Segmentation, CVPR 2019).

Every loss is a scalar, finite for finite inputs, and 0 (with a zero gradient) where there is
nothing to learn. All compute in float32. Letters: B pairs, A anchors at a cell, S x S cells of the
response map, P cells whose mask is learned, M side of a predicted mask (63 base, 127 refined); a
cell's window in the search crop has a side of 127.

Channels: a score map has channel ``class * A + anchor`` (class 0 background, 1 object), a box map
``coordinate * A + anchor`` (dx, dy, dw, dh). Labels are 1 object, 0 background, -1 ignored.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW = 127  # pixels
CELL_STRIDE = 8  # pixels of the search crop between two cells


def score_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy, objects and background each with weight 1/2; a kind that does not occur adds
    0.

    Args:
        scores: (B, 2A, S, S) logits.
        labels: (B, A, S, S) int64 in {-1, 0, 1}.
    """
    background, foreground = scores.float().chunk(2, dim=1)
    margin = foreground - background  # (B, A, S, S)
    positive, negative = labels == 1, labels == 0
    return (_mean(F.softplus(-margin), positive) + _mean(F.softplus(margin), negative)) / 2


def box_loss(deltas: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """L1 distance, summed over the coordinates and, with their weights, over the anchors; mean over
    the batch.

    Args:
        deltas: (B, 4A, S, S) predicted.
        targets: (B, 4, A, S, S).
        weights: (B, A, S, S), 0 where nothing is learned; 1 / (number of positives of the pair)
            where something is.
    """
    distance = (deltas.float().reshape(targets.shape) - targets).abs().sum(dim=1)  # (B, A, S, S)
    return torch.where(weights > 0, distance * weights, 0.0).sum() / max(len(deltas), 1)


def positive_cells(labels: Tensor, has_mask: Tensor) -> Tensor:
    """Cells with a positive anchor, of the pairs whose mask is known.

    Args:
        labels: (B, A, S, S) int64.
        has_mask: (B,) bool; False also for negative pairs.

    Returns:
        (P, 3) int64 rows (pair, y, x), in rising order.
    """
    return ((labels == 1).any(dim=1) & has_mask[:, None, None]).nonzero()


def mask_windows(masks: Tensor, cells: Tensor, padding: int) -> Tensor:
    """What each cell should predict: its window of the search mask, +1 object, -1 background, 0
    outside the crop.

    Args:
        masks: (B, H, W) in {0, 1}, of the search crops.
        cells: (P, 3) rows (pair, y, x).
        padding: pixels by which the windows of the outermost cells reach beyond the crop: 32 for a
            crop of 255 with 25 x 25 cells, 0 for a crop of 143 with 3 x 3 cells.

    Returns:
        (P, 127, 127) float32.
    """
    signs = F.pad(masks.float() * 2 - 1, (padding,) * 4)  # (B, H + 2 padding, W + 2 padding)
    reach = torch.arange(WINDOW, device=cells.device)
    pair, y, x = cells.unbind(dim=1)
    rows = (y * CELL_STRIDE)[:, None] + reach  # (P, 127)
    columns = (x * CELL_STRIDE)[:, None] + reach
    return signs[pair[:, None, None], rows[:, :, None], columns[:, None, :]]


def mask_loss(logits: Tensor, windows: Tensor) -> Tensor:
    """Mean of ln(1 + exp(-target * logit)) over all windows and pixels; ln 2 at a pixel outside the
    crop.

    Args:
        logits: (P, M, M); maps of another size than the windows are enlarged bilinearly, corners on
            corners.
        windows: (P, 127, 127) in {-1, 0, 1}.
    """
    if not len(logits):
        return logits.float().sum()
    return F.softplus(-windows * _enlarged(logits)).mean()


@torch.no_grad()
def mask_overlap(logits: Tensor, windows: Tensor) -> Tensor:
    """Mean intersection over union of the masks inside the crop, for the log; 1 where both are
    empty, 0 without windows.
    """
    if not len(logits):
        return logits.new_zeros((), dtype=torch.float32)
    found, truth = (_enlarged(logits) > 0) & (windows != 0), windows > 0
    shared, either = (found & truth).flatten(1).sum(dim=1), (found | truth).flatten(1).sum(dim=1)
    return torch.where(either > 0, shared / either.clamp(min=1), 1.0).mean()


def _enlarged(logits: Tensor) -> Tensor:
    """(P, 127, 127) float32."""
    if logits.shape[1] == WINDOW:
        return logits.float()
    return F.interpolate(
        logits[:, None].float(), size=(WINDOW, WINDOW), mode='bilinear', align_corners=True
    )[:, 0]


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen values; 0, with a gradient of 0, without any."""
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)
