"""Anchors of the siamese region proposal network, and how one of them is chosen.

Li et al., High Performance Visual Tracking with Siamese Region Proposal Network, CVPR 2018,
sections 3.2 (anchors) and 4.3 (cosine window and penalty for changes).

Letters for shapes: K objects; n x n cells of the response map with A = 5 anchors each, N = A n n
anchors in all, whose flat index is anchor * n * n + row * n + column. Boxes are (center x, center
y, width, height) in pixels of the search window. Arrays are torch's or numpy's; nothing here
imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmvos.ops.arrays import Array, array_namespace, device, fetch, to_device
from mmvos.ops.siamese_geometry import STRIDE, context_area

# Width and height, of the ratios .33, .5, 1, 2 and 3 at an area of 64 cells.
ANCHOR_SIZES = ((104, 32), (88, 40), (64, 64), (40, 80), (32, 96))
ANCHORS_PER_CELL = len(ANCHOR_SIZES)
# The logarithm of a side is cut here, so that untrained weights give finite boxes.
MAX_LOG_RATIO = 16.0


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


def anchor_grid(cells: int, center: float = 0.0) -> NDArray[np.float64]:
    """Return all anchors of a search window.

    Args:
        cells: n.
        center: where the middle cell lies in x and in y; 0 gives boxes relative to the middle of
            the search window.

    Returns:
        (N, 4).
    """
    # (n,): the cells' places along either axis
    steps = np.arange(cells, dtype=np.float64) - cells // 2
    line = steps * STRIDE + center
    y, x = np.meshgrid(line, line, indexing='ij')

    # (A, n * n, 2): every cell for every anchor
    centers = np.stack([x, y], axis=-1)
    centers = centers.reshape(1, -1, 2)
    centers = centers.repeat(ANCHORS_PER_CELL, axis=0)

    # (A, n * n, 2): the anchor's size at every cell
    sizes = np.array(ANCHOR_SIZES, dtype=np.float64)
    sizes = np.broadcast_to(sizes[:, None], centers.shape)

    grid = np.concatenate([centers, sizes], axis=-1)
    return grid.reshape(-1, 4)


def decode_boxes(deltas: Array, anchors: Array) -> Array:
    """Turn what the network predicts for anchors into boxes.

    Args:
        deltas: (..., 4, N): offsets of the centers in anchor sizes, and logarithms of the ratios of
            the sizes.
        anchors: (N, 4).

    Returns:
        (..., N, 4).
    """
    xp = array_namespace(deltas)

    # The center moves by a share of the anchor's size.
    x = deltas[..., 0, :] * anchors[:, 2] + anchors[:, 0]
    y = deltas[..., 1, :] * anchors[:, 3] + anchors[:, 1]

    # The size changes by a factor.
    width_ratio = xp.exp(deltas[..., 2, :].clip(max=MAX_LOG_RATIO))
    height_ratio = xp.exp(deltas[..., 3, :].clip(max=MAX_LOG_RATIO))
    width = width_ratio * anchors[:, 2]
    height = height_ratio * anchors[:, 3]
    return xp.stack([x, y, width, height], axis=-1)


def change_penalty(boxes: Array, sizes: Array, strength: float) -> Array:
    """Return the factor by which a score shrinks as the box's size or shape is not the object's.

    Args:
        boxes: (K, N, 4).
        sizes: (K, 2), width and height of the objects in pixels of the search window.
        strength: k of the paper; 0 for no penalty.

    Returns:
        (K, N) in (0, 1]; 1 where size and shape are the object's.
    """
    # (K, N) of the boxes, (K, 1) of the objects
    xp = array_namespace(boxes)
    width = boxes[..., 2]
    height = boxes[..., 3]
    object_width = sizes[:, :1]
    object_height = sizes[:, 1:]

    # s / s' of the paper: sides of the squares with context
    side = xp.sqrt(context_area(width, height))
    object_side = xp.sqrt(context_area(object_width, object_height))
    size_change = _change(side / object_side)

    # r / r' of the paper: ratios of the sides
    ratio = width / height
    object_ratio = object_width / object_height
    shape_change = _change(object_ratio / ratio)

    # 0 where neither has changed
    change = size_change * shape_change - 1
    return xp.exp(-change * strength)


def _change(ratio: Array) -> Array:
    """The ratio or its inverse, whichever is larger."""
    xp = array_namespace(ratio)
    return xp.maximum(ratio, 1 / ratio)


def cosine_window(cells: int) -> NDArray[np.float64]:
    """Return the weights by which anchors near the middle of the search window are preferred.

    It is numpy's Hann window, the published code's: ``torch.hann_window`` is not symmetric in its
    last bits, which would break ties between the left and the right of the window's middle.

    Args:
        cells: n.

    Returns:
        (N,): 1 in the middle, 0 at the edge, the same for all anchors of a cell.
    """
    line = np.hanning(cells)

    # (n, n) -> (n * n,) -> (A * n * n,)
    window = np.outer(line, line)
    return np.tile(window.ravel(), ANCHORS_PER_CELL)


def rank_anchors(scores: Array, penalties: Array, cells: int, window_influence: float) -> Array:
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
    nearness = to_device(cosine_window(cells), scores, scores.dtype)
    own_share = 1 - window_influence
    return penalized * own_share + nearness * window_influence


def anchor_cells(index: Array, cells: int) -> Array:
    """Return the cells of anchors, of n x n cells.

    Args:
        index: (K, T) flat indices, T anchors of each search window.
        cells: n.

    Returns:
        (K * T, 3) int64 rows (window, row, column).
    """
    xp = array_namespace(index)
    windows = xp.arange(len(index), device=device(index))
    windows = xp.broadcast_to(windows[:, None], index.shape)

    # (K, T)
    place = index % cells**2
    row = place // cells
    column = place % cells
    cell = xp.stack([windows, row, column], axis=-1)
    return xp.reshape(cell, (-1, 3))


def pick_anchors(
    index: Array, boxes: Array, scores: Array, penalties: Array, masks: Array
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
    xp = array_namespace(index)
    windows = xp.arange(len(index), device=device(index))

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
