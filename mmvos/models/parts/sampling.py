"""Sampling of an object's parts, small squares that lie on its mask (Cheng et al., FAVOS, CVPR
2018, section 3.1).

The object's box is covered with blocks, in each of which squares are drawn at random around pixels
of the object; of squares that lie in each other few are kept. Boxes are int64 rows x1, y1, x2, y2
in pixels, the right and lower ends not included. P parts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.int64]
LEAST_COVERAGE = 0.35  # of a part, by the object
# from so many boxes on a block is thinned, where one box lies in another by more than this share
CROWDED, NESTED = 10, 0.95
# share from which all boxes are thinned, and how it goes down until there are few enough
LOOSEST, STEP = 0.97, 0.02
FEW = 2000  # boxes whose overlaps are all kept in memory
# Shorter side of the object from which a rule holds, side of its blocks, shortest and longest side
# of a part, in pixels.
RULES = ((300, 64, 32, 152), (200, 32, 28, 128), (100, 24, 24, 112), (0, 16, 24, 96))


def block_rule(shorter: int) -> tuple[int, int, int]:
    """Side of a block, shortest and longest side of a part, for an object whose box has this
    shorter side.
    """
    return next((block, low, high) for least, block, low, high in RULES if shorter >= least)


def sample_parts(mask: NDArray[np.bool_], most: int, rng: np.random.Generator) -> Boxes:
    """Boxes of an object's parts.

    Args:
        mask: (H, W), the object.
        most: how many parts there may be, at least 1.
        rng: the source of all chance.

    Returns:
        (P, 4), 1 <= P <= ``most``: the object's own box where no square fits; none only where there
        is no object.
    """
    if most < 1:
        raise ValueError(f'an object has at least one part, not {most}')
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros((0, 4), dtype=np.int64)
    whole = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], dtype=np.int64)
    left, top, right, bottom = whole[0]
    block, low, high = block_rule(int(min(right - left, bottom - top)))
    table = _sums(mask)
    found = []
    for y in range(top, bottom, block):  # the last block of a row or column may be narrower
        for x in range(left, right, block):
            pixels = np.argwhere(mask[y : min(y + block, bottom), x : min(x + block, right)])
            if len(pixels) <= 2:
                continue
            centers = pixels[rng.integers(len(pixels), size=block**2 // 4)] + (y, x)
            boxes = squares(centers, rng.integers(low, high + 1, size=len(centers)))
            boxes = boxes[valid(boxes, table)]
            found.append(thin(boxes, NESTED) if len(boxes) >= CROWDED else boxes)
    parts = at_most(np.concatenate([whole[:0], *found]), most)
    return parts if len(parts) else whole


def squares(centers: NDArray[np.int64], sides: NDArray[np.int64]) -> Boxes:
    """Squares of odd side, that of an even one being one larger, around pixels (P, 2), row and
    column: (P, 4).
    """
    half = (sides // 2)[:, None]
    return np.concatenate([centers[:, ::-1] - half, centers[:, ::-1] + half + 1], axis=1)


def valid(boxes: Boxes, table: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which boxes lie in the frame and on the object by ``LEAST_COVERAGE``: (P,). The table is that
    of ``coverage``.
    """
    height, width = table.shape[0] - 1, table.shape[1] - 1
    inside = np.asarray(
        (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= (width, height)).all(axis=1),
        dtype=np.bool_,
    )
    inside[inside] = _shares(boxes[inside], table) >= LEAST_COVERAGE
    return inside


def coverage(mask: NDArray[np.bool_], boxes: Boxes) -> NDArray[np.float64]:
    """Share of each box's pixels that are the object's, what is outside the frame being nobody's:
    (P,).
    """
    return _shares(boxes, _sums(mask))


def thin(boxes: Boxes, share: float) -> Boxes:
    """Keeps boxes from below upwards, each of which removes those that lie in it by more than a
    share of their own area.
    """
    order = _from_below(boxes)
    kept = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(first)
        order = order[_nested(first, order) <= share]
    return np.array(kept, dtype=np.int64).reshape(-1, 4)


def at_most(boxes: Boxes, most: int) -> Boxes:
    """Thins boxes with smaller and smaller shares, until there are at most so many; what never
    overlaps is thinned evenly.
    """
    share = LOOSEST
    while len(boxes) > max(most, FEW) and share > 0:
        boxes = thin(boxes, share)
        share -= STEP
    if len(boxes) <= most:
        return boxes
    boxes = _from_below(boxes)
    nested = np.array([_nested(box, boxes) for box in boxes])  # once for all rounds
    kept = np.ones(len(boxes), dtype=np.bool_)
    while kept.sum() > most and share > 0:
        for i in range(len(boxes)):
            if kept[i]:
                kept[i + 1 :] &= nested[i, i + 1 :] <= share
        share -= STEP
    boxes = boxes[kept]
    return (
        boxes
        if len(boxes) <= most
        else boxes[np.linspace(0, len(boxes) - 1, most).round().astype(np.int64)]
    )


def _from_below(boxes: Boxes) -> Boxes:
    return np.asarray(boxes[np.argsort(boxes[:, 3], kind='stable')[::-1]])


def _nested(box: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Share of each of the others (P, 4) that lies in a box (4,): (P,)."""
    x1, y1, x2, y2 = others.T
    width = np.minimum(box[2], x2) - np.maximum(box[0], x1)
    height = np.minimum(box[3], y2) - np.maximum(box[1], y1)
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0) / ((x2 - x1) * (y2 - y1)))


def _sums(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(H + 1, W + 1): how many of the object's pixels are above and to the left."""
    table = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int64)
    table[1:, 1:] = mask.cumsum(axis=0).cumsum(axis=1)
    return table


def _shares(boxes: Boxes, table: NDArray[np.int64]) -> NDArray[np.float64]:
    x1, x2 = boxes[:, [0, 2]].clip(0, table.shape[1] - 1).T
    y1, y2 = boxes[:, [1, 3]].clip(0, table.shape[0] - 1).T
    pixels = table[y2, x2] - table[y1, x2] - table[y2, x1] + table[y1, x1]
    return np.asarray(pixels / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
