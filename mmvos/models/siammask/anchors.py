"""Anchors of the siamese region proposal network, and how one of them is chosen.

Li et al., High Performance Visual Tracking with Siamese Region Proposal Network, CVPR 2018,
sections 3.2 (anchors) and 4.3 (cosine window and penalty for changes).

Letters for shapes: K objects; n x n cells of the response map with A = 5 anchors each, N = A n n
anchors in all, whose flat index is anchor * n * n + row * n + column. Boxes are (center x, center
y, width, height) in pixels of the search window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmvos.ops.arrays import fetch
from mmvos.ops.siamese_geometry import STRIDE, context_area

# Width and height, of the ratios .33, .5, 1, 2 and 3 at an area of 64 cells.
ANCHOR_SIZES = ((104, 32), (88, 40), (64, 64), (40, 80), (32, 96))
ANCHORS_PER_CELL = len(ANCHOR_SIZES)
# The logarithm of a side is cut here, so that untrained weights give finite boxes.
MAX_LOG_RATIO = 16.0
# Pixels; smaller boxes have no logarithm worth learning, and are never matched.
MIN_SIDE = 1e-2


@dataclass(frozen=True)
class ChosenAnchor:
    """The anchor that is taken for an object in a frame.

    Attributes:
        index: flat index.
        box: center relative to the middle of the search window, and size.
        score: probability that it is the object.
        penalty: in (0, 1], for its change of size and shape.
    """

    index: int
    box: tuple[float, float, float, float]
    score: float
    penalty: float


def anchor_grid(cells: int, center: float = 0.0) -> Tensor:
    """Return all anchors of a search window.

    Args:
        cells: n.
        center: where the middle cell lies in x and in y; 0 gives boxes relative to the middle of
            the search window.

    Returns:
        (N, 4) float64.
    """
    # (n,): the cells' places along either axis
    line = torch.arange(cells, dtype=torch.float64) - cells // 2
    line = line * STRIDE + center
    y, x = torch.meshgrid(line, line, indexing='ij')

    # (A, n * n, 2): every cell for every anchor
    centers = torch.stack([x, y], dim=-1)
    centers = centers.reshape(1, -1, 2)
    centers = centers.expand(ANCHORS_PER_CELL, -1, -1)

    # (A, n * n, 2): the anchor's size at every cell
    sizes = torch.tensor(ANCHOR_SIZES, dtype=torch.float64)
    sizes = sizes[:, None].expand_as(centers)

    grid = torch.cat([centers, sizes], dim=-1)
    return grid.reshape(-1, 4)


def decode_boxes(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Turn what the network predicts for anchors into boxes.

    Args:
        deltas: (..., 4, N): offsets of the centers in anchor sizes, and logarithms of the ratios of
            the sizes.
        anchors: (N, 4).

    Returns:
        (..., N, 4).
    """
    dx, dy, dw, dh = deltas.unbind(dim=-2)
    anchor_x, anchor_y, anchor_width, anchor_height = anchors.unbind(dim=-1)

    # The center moves by a share of the anchor's size.
    x = dx * anchor_width + anchor_x
    y = dy * anchor_height + anchor_y

    # The size changes by a factor.
    width_ratio = dw.clamp(max=MAX_LOG_RATIO).exp()
    height_ratio = dh.clamp(max=MAX_LOG_RATIO).exp()
    width = width_ratio * anchor_width
    height = height_ratio * anchor_height
    return torch.stack([x, y, width, height], dim=-1)


def encode_boxes(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Return what the network should predict for anchors; ``decode_boxes`` is the inverse.

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


def change_penalty(boxes: Tensor, sizes: Tensor, strength: float) -> Tensor:
    """Return the factor by which a score shrinks as the box's size or shape is not the object's.

    Args:
        boxes: (K, N, 4).
        sizes: (K, 2), width and height of the objects in pixels of the search window.
        strength: k of the paper; 0 for no penalty.

    Returns:
        (K, N) in (0, 1]; 1 where size and shape are the object's.
    """
    # (K, N) of the boxes, (K, 1) of the objects
    _, _, width, height = boxes.unbind(dim=-1)
    object_width, object_height = sizes.split(1, dim=1)

    # s / s' of the paper: sides of the squares with context
    side = context_area(width, height).sqrt()
    object_side = context_area(object_width, object_height).sqrt()
    size_change = _change(side / object_side)

    # r / r' of the paper: ratios of the sides
    ratio = width / height
    object_ratio = object_width / object_height
    shape_change = _change(object_ratio / ratio)

    # 0 where neither has changed
    change = size_change * shape_change - 1
    return torch.exp(-change * strength)


def _change(ratio: Tensor) -> Tensor:
    """The ratio or its inverse, whichever is larger."""
    return torch.maximum(ratio, 1 / ratio)


def cosine_window(cells: int) -> Tensor:
    """Return the weights by which anchors near the middle of the search window are preferred.

    It is numpy's Hann window, the published code's: ``torch.hann_window`` is not symmetric in its
    last bits, which would break ties between the left and the right of the window's middle.

    Args:
        cells: n.

    Returns:
        (N,) float64: 1 in the middle, 0 at the edge, the same for all anchors of a cell.
    """
    line = torch.from_numpy(np.hanning(cells))

    # (n, n) -> (n * n,) -> (A * n * n,)
    window = torch.outer(line, line)
    window = window.flatten()
    return window.repeat(ANCHORS_PER_CELL)


def rank_anchors(scores: Tensor, penalties: Tensor, cells: int, window_influence: float) -> Tensor:
    """Rank anchors by score after penalty, and by nearness to the middle of the search window.

    Args:
        scores: (K, N) probabilities.
        penalties: (K, N) from ``change_penalty``.
        cells: n.
        window_influence: share of the nearness.

    Returns:
        (K, N) ranks; the highest is the best.
    """
    # a change of size and shape lowers the score
    penalized = penalties * scores

    # nearness to the middle is added to it
    nearness = cosine_window(cells).to(scores.device, non_blocking=True)
    own_share = 1 - window_influence
    return penalized * own_share + nearness * window_influence


def anchor_cells(index: Tensor, cells: int) -> Tensor:
    """Return row and column of the cells of anchors, of n x n cells.

    Args:
        index: (K,) flat indices.
        cells: n.

    Returns:
        (K, 2) int64.
    """
    place = index % cells**2
    return torch.stack([place // cells, place % cells], dim=1)


def pick_anchors(
    index: Tensor, boxes: Tensor, scores: Tensor, penalties: Tensor, masks: Tensor
) -> tuple[list[ChosenAnchor], NDArray[np.bool_]]:
    """Read one anchor of each search window, and what else is to be known of the objects; of a
    device all at once.

    Args:
        index: (K,) flat indices.
        boxes: (K, N, 4).
        scores: (K, N).
        penalties: (K, N).
        masks: (K, H, W) bool.

    Returns:
        K anchors, and the masks.
    """
    windows = torch.arange(len(index), device=index.device)

    # K rows
    numbers, chosen_boxes, chosen_scores, chosen_penalties, own_masks = fetch(
        index,
        boxes[windows, index],
        scores[windows, index],
        penalties[windows, index],
        masks,
    )
    chosen = []
    for k, number in enumerate(numbers.tolist()):
        anchor = ChosenAnchor(
            index=number,
            box=tuple(chosen_boxes[k].tolist()),
            score=float(chosen_scores[k]),
            penalty=float(chosen_penalties[k]),
        )
        chosen.append(anchor)
    return chosen, own_masks
