"""What each anchor should say in training: object or background, and where the object is.

Li et al., High Performance Visual Tracking with Siamese Region Proposal Network, CVPR 2018, section
3.3, with the counts of SiamMask's published code.

Letters for shapes: B pairs, A anchors at a cell, n x n cells, N = A n n anchors in the order
anchor, row, column. Boxes and anchors are in pixels of the search window with the origin in the
center of its first pixel, so that the middle cell of a window of 255 pixels lies at 127.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from mmvos.ops.boxes import box_overlaps

# Where a box fits no anchor, those with at least this share of the best overlap are positive.
NEAR_BEST = 0.95
# Pixels; smaller boxes have no logarithm worth learning, and are never matched.
MIN_SIDE = 1e-2


@dataclass(frozen=True)
class AnchorTargets:
    """Targets of all anchors.

    Attributes:
        labels: (B, A, n, n) int64: 1 object, 0 background, -1 ignored.
        deltas: (B, 4, A, n, n) float32: (dx, dy) over the anchor's size, logarithms of the sizes'
            ratios; 0 where not positive.
        weights: (B, A, n, n) float32: 1 / (number of positives of the pair) at positives, else 0.
    """

    labels: Tensor
    deltas: Tensor
    weights: Tensor


@dataclass(frozen=True)
class AnchorLimits:
    """Thresholds and counts of the published training.

    Attributes:
        positive: overlap above which an anchor is positive.
        negative: overlap below which it is background.
        min_overlap: where no anchor of a pair is above ``positive``, the best ones are positive if
            theirs is above this.
        max_positives: of a pair; the others are ignored.
        total: positives and background anchors of a pair together.
        negatives_of_negative: background anchors of a pair that does not show the same object.
        center_cells: side of the central square of cells from which those are drawn.
    """

    positive: float = 0.6
    negative: float = 0.3
    min_overlap: float = 0.6
    max_positives: int = 16
    total: int = 64
    negatives_of_negative: int = 16
    center_cells: int = 7


LIMITS = AnchorLimits()


def anchor_targets(
    anchors: Tensor,
    boxes: Tensor,
    negative: Tensor,
    cells: int,
    limits: AnchorLimits = LIMITS,
    generator: torch.Generator | None = None,
    chances: Tensor | None = None,
) -> AnchorTargets:
    """Assign anchors to the boxes of the search windows and draw those that count.

    Args:
        anchors: (N, 4) center x, center y, width, height.
        boxes: (B, 4) xyxy, of the object; ignored where ``negative``.
        negative: (B,) bool, whether the search window does not show the template's object.
        cells: n.
        limits: thresholds and counts.
        generator: of random numbers; torch's own by default.
        chances: (B, N) > 0, in proportion to which background anchors are drawn; by default all are
            drawn alike.

    Raises:
        ValueError: the number of anchors is no multiple of n * n.
    """
    if len(anchors) == 0 or len(anchors) % (cells * cells):
        raise ValueError(f'{len(anchors)} anchors do not divide among {cells} x {cells} cells')
    anchors_per_cell = len(anchors) // cells**2

    # (B, N) overlaps, and random numbers for the draws of positives and of background
    overlaps = box_overlaps(boxes, bbox_cxcywh_to_xyxy(anchors))
    positive_draws = torch.rand(overlaps.shape, generator=generator, device=boxes.device)
    background_draws = torch.rand(overlaps.shape, generator=generator, device=boxes.device)
    if chances is not None:
        background_draws = _weighted_draws(background_draws, chances)

    # (B, 1): positives overlap the object by more than .6, or as much as any anchor does.
    same_object = ~negative[:, None]
    best = overlaps.amax(dim=1, keepdim=True)
    near_best = NEAR_BEST * best
    near_best = near_best.clamp(min=limits.min_overlap)
    threshold = torch.where(best > limits.positive, limits.positive, near_best)

    # (B, N): of those at most 16 are drawn
    candidates = (overlaps > threshold) & same_object
    max_positives = torch.full_like(boxes[:, 0], limits.max_positives)
    positive = _sample_at_most(candidates, positive_draws, max_positives)

    # Background overlaps it by less than .3; in a pair of two objects it is the window's middle.
    remaining = limits.total - positive.sum(dim=1)
    max_background = torch.where(negative, limits.negatives_of_negative, remaining)
    middle = _central_cells(cells, limits.center_cells, boxes.device)
    middle = middle.repeat(anchors_per_cell)
    apart = (overlaps < limits.negative) & ~candidates
    background = torch.where(same_object, apart, middle)
    background = _sample_at_most(background, background_draws, max_background)

    # Everything else is ignored; box deltas count at positives only.
    unless_object = torch.where(background, 0, -1)
    labels = torch.where(positive, 1, unless_object)
    count = positive.sum(dim=1, keepdim=True)
    weights = positive / (count + 1e-6)
    deltas = encode_boxes(anchors, boxes) * positive[:, None]
    grid = (anchors_per_cell, cells, cells)
    return AnchorTargets(
        labels=labels.reshape(len(boxes), *grid),
        deltas=deltas.reshape(len(boxes), 4, *grid),
        weights=weights.reshape(len(boxes), *grid),
    )


def _weighted_draws(draws: Tensor, chances: Tensor) -> Tensor:
    """Draws whose largest are a sample without replacement in proportion to the chances.

    They are u ** (1 / chance), as their logarithms (Efraimidis and Spirakis, Weighted random
    sampling with a reservoir, 2006).
    """
    return draws.log() / chances


def _sample_at_most(candidates: Tensor, draws: Tensor, count: Tensor) -> Tensor:
    """Of each row's candidates (B, N) the ``count`` (B,) ones with the largest draws (B, N)."""
    keys = torch.where(candidates, draws, -torch.inf)

    # the place of each draw in its row's order
    order = keys.argsort(dim=1, descending=True)
    rank = order.argsort(dim=1)
    return candidates & (rank < count[:, None])


def _central_cells(cells: int, side: int, device: torch.device) -> Tensor:
    """(n * n,) bool: the central square of cells."""
    line = torch.arange(cells, device=device)

    # (n,): which rows, and columns, are near the middle
    distance = (line - cells // 2).abs()
    is_near = distance <= side // 2

    # (n, n)
    square = is_near[:, None] & is_near
    return square.flatten()


def encode_boxes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Return what the network should predict for anchors; ``anchors.decode_boxes`` is its
    inverse.

    Args:
        anchors: (N, 4).
        boxes: (B, 4) xyxy, one for each pair.

    Returns:
        (B, 4, N) float32 deltas.
    """
    # (2, N)
    anchor_center = anchors[:, :2].float().T
    anchor_size = anchors[:, 2:].float().T

    # (B, 2, 1): center and size of the boxes
    low, high = boxes.split(2, dim=1)
    center = (low + high).float() / 2
    center = center[:, :, None]
    size = (high - low).float()
    size = size.clamp(min=MIN_SIDE)
    size = size[:, :, None]

    # (B, 2, N) each
    offsets = (center - anchor_center) / anchor_size
    ratios = torch.log(size / anchor_size)
    return torch.cat([offsets, ratios], dim=1)
