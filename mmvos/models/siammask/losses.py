"""Losses of SiamMask (Wang et al., Fast Online Object Tracking and Segmentation, CVPR 2019).

Every loss is a scalar, finite for finite inputs, and 0 (with a zero gradient) where there is
nothing to learn. All compute in float32.

Letters for shapes: B pairs, A anchors at a cell, n x n cells of the response map, P cells whose
mask is learned, M side of a predicted mask (63 plain, 127 refined). A cell's mask shows 127 x 127
pixels of the search window.

Channels: a score map has channel ``class * A + anchor`` (class 0 background, 1 object), a box map
``coordinate * A + anchor`` (dx, dy, dw, dh). Labels are 1 object, 0 background, -1 ignored.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.siamese_geometry import STRIDE, TEMPLATE_SIZE

MASK_SIZE = TEMPLATE_SIZE  # pixels of the search window that a mask shows


def score_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of the scores.

    Objects and background have each the weight 1/2; a kind that does not occur adds 0.

    Args:
        scores: (B, 2A, n, n) logits.
        labels: (B, A, n, n) int64 in {-1, 0, 1}.
    """
    # (B, A, n, n); the softmax of two classes is the sigmoid of their difference
    background, foreground = scores.float().chunk(2, dim=1)
    margin = foreground - background
    object_loss = _mean_of(F.softplus(-margin), labels == 1)
    background_loss = _mean_of(F.softplus(margin), labels == 0)
    return (object_loss + background_loss) / 2


def box_loss(deltas: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the L1 distance of the boxes.

    It is summed over the coordinates and, with their weights, over the anchors; of the batch it is
    the mean.

    Args:
        deltas: (B, 4A, n, n) predicted.
        targets: (B, 4, A, n, n).
        weights: (B, A, n, n), 0 where nothing is learned; 1 / (number of positives of the pair)
            where something is.
    """
    # (B, A, n, n): distance over the four coordinates
    predicted = deltas.float().reshape(targets.shape)
    difference = (predicted - targets).abs()
    distance = difference.sum(dim=1)

    # What is not learned may be infinite and counts nothing.
    weighted = torch.where(weights > 0, distance * weights, 0.0)
    return weighted.sum() / max(len(deltas), 1)


def positive_cells(labels: Tensor, has_mask: Tensor) -> Tensor:
    """Find the cells with a positive anchor, of the pairs whose mask is known.

    Args:
        labels: (B, A, n, n) int64.
        has_mask: (B,) bool; False also for negative pairs.

    Returns:
        (P, 3) int64 rows (pair, row, column), in rising order.
    """
    positive = (labels == 1).any(dim=1)
    return (positive & has_mask[:, None, None]).nonzero()


def mask_targets(masks: Tensor, index: Tensor, cells: int) -> Tensor:
    """Cut out of the search masks what each cell should predict.

    Args:
        masks: (B, S, S) in {0, 1}, of the search windows.
        index: (P, 3) rows (pair, row, column).
        cells: n. The masks of the outermost cells reach beyond the window: by 32 pixels where S is
            255 and n 25, by none where S is 143 and n 3.

    Returns:
        (P, 127, 127) float32: +1 object, -1 background, 0 outside the search window.
    """
    # +1 and -1 in the search window, 0 around it as far as the outermost masks reach
    covered = (cells - 1) * STRIDE + MASK_SIZE
    padding = (covered - masks.shape[-1]) // 2
    signs = masks.float() * 2 - 1
    signs = F.pad(signs, (padding,) * 4)

    # (P, 127): the rows and columns of each mask
    pair, row, column = index.unbind(dim=1)
    pixels = torch.arange(MASK_SIZE, device=index.device)
    rows = row[:, None] * STRIDE + pixels
    columns = column[:, None] * STRIDE + pixels

    # (P, 127, 127)
    pair = pair[:, None, None]
    rows = rows[:, :, None]
    columns = columns[:, None, :]
    return signs[pair, rows, columns]


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of ln(1 + exp(-target * logit)) over all masks and pixels.

    It is ln 2 at a pixel outside the search window.

    Args:
        logits: (P, M, M); maps of another size than the targets are enlarged bilinearly, corners on
            corners.
        targets: (P, 127, 127) in {-1, 0, 1}.
    """
    if not len(logits):
        return logits.float().sum()
    margin = targets * _enlarge(logits)
    return F.softplus(-margin).mean()


@torch.no_grad()
def mask_overlap(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean intersection over union of the masks inside the search window, for the log.

    Args:
        logits: (P, M, M).
        targets: (P, 127, 127) in {-1, 0, 1}.

    Returns:
        A scalar; a pair of two empty masks counts 1, and 0 comes back without masks.
    """
    if not len(logits):
        return logits.new_zeros((), dtype=torch.float32)

    # Pixels outside the search window count for neither.
    inside = targets != 0
    truth = targets > 0
    predicted = (_enlarge(logits) > 0) & inside

    # (P,)
    intersection = (predicted & truth).flatten(1).sum(dim=1)
    union = (predicted | truth).flatten(1).sum(dim=1)
    overlap = intersection / union.clamp(min=1)
    return torch.where(union > 0, overlap, 1.0).mean()


def _enlarge(logits: Tensor) -> Tensor:
    """(P, M, M) -> (P, 127, 127) float32."""
    if logits.shape[1] == MASK_SIZE:
        return logits.float()
    enlarged = F.interpolate(
        logits[:, None].float(), size=(MASK_SIZE, MASK_SIZE), mode='bilinear', align_corners=True
    )
    return enlarged[:, 0]


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen values; 0, with a gradient of 0, without any."""
    total = torch.where(chosen, values, 0.0).sum()
    return total / chosen.sum().clamp(min=1)
