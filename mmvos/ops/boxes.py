"""Arithmetic on boxes, xyxy; arrays are torch's or numpy's, see ``arrays``."""

from __future__ import annotations

from .arrays import Array, array_namespace

MIN_UNION = 1e-6


def box_overlaps(first: Array, second: Array) -> Array:
    """Return the overlap (IoU) of each box with each other one.

    The numbers of mmdet's ``bbox_overlaps``, which waits for a GPU.

    Args:
        first: (..., N, 4).
        second: (..., M, 4).

    Returns:
        (..., N, M) in [0, 1].
    """
    xp = array_namespace(first, second)
    first = first[..., :, None, :]
    second = second[..., None, :, :]

    # (..., N, M): the area in both
    low = xp.maximum(first, second)
    high = xp.minimum(first, second)
    sides = high[..., 2:] - low[..., :2]
    sides = sides.clip(min=0)
    both = _area(sides)

    # over the area in either
    first_area = _area(first[..., 2:] - first[..., :2])
    second_area = _area(second[..., 2:] - second[..., :2])
    union = first_area + second_area - both
    union = union.clip(min=MIN_UNION)
    return both / union


def _area(sides: Array) -> Array:
    """(..., 2) -> (...)."""
    width = sides[..., 0]
    height = sides[..., 1]
    return width * height


def corners_of(boxes: Array) -> Array:
    """Return the corners xyxy of boxes (..., 4) that are given by center and size."""
    xp = array_namespace(boxes)
    center = boxes[..., :2]
    half = 0.5 * boxes[..., 2:]
    return xp.concat([center - half, center + half], axis=-1)
