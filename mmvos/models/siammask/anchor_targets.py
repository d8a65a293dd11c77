"""What each anchor of a siamese tracker should say: object or background, and where the object is.

Li et al., High Performance Visual Tracking with Siamese Region Proposal Network, CVPR 2018.
Letters: B pairs, A anchors at a cell, S x S cells, N = A * S * S anchors in the order anchor, y, x.
Boxes and anchors are in pixels of the search crop with the origin in the center of its first pixel,
so that the central cell of a crop of 255 lies at 127.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST_SIDE = 1e-2  # pixels; smaller boxes have no logarithm worth learning, and are never matched


@dataclass(frozen=True)
class AnchorTargets:
    """Targets of all anchors.

    Attributes:
        labels: (B, A, S, S) int64: 1 object, 0 background, -1 ignored.
        deltas: (B, 4, A, S, S) float32: (dx, dy) over the anchor's size, logarithms of the sizes'
            ratios; 0 where not positive.
        weights: (B, A, S, S) float32: 1 / (number of positives of the pair) at positives, else 0.
    """

    labels: Tensor
    deltas: Tensor
    weights: Tensor


@dataclass(frozen=True)
class AnchorLimits:
    """Thresholds and counts of the published training.

    Attributes:
        positive, negative: overlap above which an anchor is positive, and below which it is
            negative.
        least: where no anchor of a pair has that overlap, the best ones are positive if theirs is
            above this.
        most_positives: of a pair; the others are ignored.
        total: positives and negatives of a pair together.
        negatives_of_negative: background anchors of a pair that does not show the same object.
        center: side of the central square of cells from which those are drawn.
    """

    positive: float = 0.6
    negative: float = 0.3
    least: float = 0.6
    most_positives: int = 16
    total: int = 64
    negatives_of_negative: int = 16
    center: int = 7


LIMITS = AnchorLimits()
_NEAR = 0.95  # of the best overlap


def anchor_targets(
    anchors: Tensor,
    boxes: Tensor,
    negative: Tensor,
    cells: int,
    limits: AnchorLimits = LIMITS,
    generator: torch.Generator | None = None,
    chances: Tensor | None = None,
) -> AnchorTargets:
    """Assigns anchors to the boxes of the search crops and draws those that count.

    Args:
        anchors: (N, 4) center x, center y, width, height.
        boxes: (B, 4) xyxy, of the object; ignored where ``negative``.
        negative: (B,) bool, whether the crop does not show the template's object.
        cells: S.
        limits: thresholds and counts.
        generator: of random numbers; torch's own by default.
        chances: (B, N) > 0, in proportion to which background anchors are drawn; by default all are
            drawn alike.

    Raises:
        ValueError: the number of anchors is no multiple of S * S.
    """
    if len(anchors) == 0 or len(anchors) % (cells * cells):
        raise ValueError(f'{len(anchors)} anchors do not divide among {cells} x {cells} cells')
    overlaps = _overlaps(anchors, boxes)  # (B, N)
    same = ~negative[:, None]
    draws = [torch.rand(overlaps.shape, generator=generator, device=boxes.device) for _ in range(2)]
    best = overlaps.amax(dim=1, keepdim=True)
    enough = torch.where(
        best > limits.positive, limits.positive, (_NEAR * best).clamp(min=limits.least)
    )
    candidates = (overlaps > enough) & same
    positive = _drawn(candidates, draws[0], torch.full_like(boxes[:, 0], limits.most_positives))
    room = torch.where(negative, limits.negatives_of_negative, limits.total - positive.sum(dim=1))
    middle = _central(cells, limits.center, boxes.device).repeat(len(anchors) // cells**2)
    background = torch.where(same, (overlaps < limits.negative) & ~candidates, middle)
    background = _drawn(
        background, draws[1] if chances is None else _weighted(draws[1], chances), room
    )
    labels = torch.where(positive, 1, torch.where(background, 0, -1))
    weights = positive / (positive.sum(dim=1, keepdim=True) + 1e-6)
    deltas = encode_boxes(anchors, boxes) * positive[:, None]  # (B, 4, N)
    pairs, grid = len(boxes), (len(anchors) // cells**2, cells, cells)
    return AnchorTargets(
        labels.reshape(pairs, *grid), deltas.reshape(pairs, 4, *grid), weights.reshape(pairs, *grid)
    )


def encode_boxes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """(B, 4, N) float32 deltas that move (N, 4) anchors (center, size) onto (B, 4) boxes (xyxy)."""
    center, size = anchors[:, :2].float().T, anchors[:, 2:].float().T  # (2, N)
    target = (boxes[:, :2] + boxes[:, 2:]).float()[:, :, None] / 2  # (B, 2, 1)
    target_size = (boxes[:, 2:] - boxes[:, :2]).float().clamp(min=_LEAST_SIDE)[:, :, None]
    return torch.cat([(target - center) / size, torch.log(target_size / size)], dim=1)


def _overlaps(anchors: Tensor, boxes: Tensor) -> Tensor:
    """(B, N) intersection over union."""
    half = anchors[:, 2:] / 2
    corners = torch.cat([anchors[:, :2] - half, anchors[:, :2] + half], dim=1)[None]  # (1, N, 4)
    boxes = boxes[:, None]  # (B, 1, 4)
    low, high = (
        torch.maximum(corners[..., :2], boxes[..., :2]),
        torch.minimum(corners[..., 2:], boxes[..., 2:]),
    )
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(item[..., 2:] - item[..., :2]).clamp(min=0).prod(-1) for item in (corners, boxes)]
    return shared / (areas[0] + areas[1] - shared)


def _weighted(draws: Tensor, chances: Tensor) -> Tensor:
    """Draws whose largest are a sample without replacement in proportion to the chances: u ** (1 /
    chance), as its logarithm (Efraimidis and Spirakis, Weighted random sampling with a reservoir,
    2006)."""
    return draws.log() / chances


def _drawn(candidates: Tensor, draws: Tensor, most: Tensor) -> Tensor:
    """(B, N) bool: at most ``most`` (B,) of each row's candidates, those with the largest draws (B,
    N).
    """
    keys = torch.where(candidates, draws, -torch.inf)
    rank = keys.argsort(dim=1, descending=True).argsort(dim=1)
    return candidates & (rank < most[:, None])


def _central(cells: int, center: int, device: torch.device) -> Tensor:
    """(S * S,) bool: the central square of cells."""
    near = (torch.arange(cells, device=device) - cells // 2).abs() <= center // 2
    return (near[:, None] & near).flatten()
