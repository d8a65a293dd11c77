"""Arithmetic on boxes, xyxy."""

from __future__ import annotations

from torch import Tensor

MIN_UNION = 1e-6


def box_overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Return the overlap (IoU) of each box with each other one.

    The numbers of mmdet's ``bbox_overlaps``, which waits for a GPU.

    Args:
        first: (..., N, 4).
        second: (..., M, 4).

    Returns:
        (..., N, M) in [0, 1].
    """
    first = first[..., :, None, :]
    second = second[..., None, :, :]

    # (..., N, M): the area in both
    low = first.maximum(second)[..., :2]
    high = first.minimum(second)[..., 2:]
    sides = (high - low).clamp(min=0)
    width, height = sides.unbind(dim=-1)
    both = width * height

    # over the area in either
    union = _area(first) + _area(second) - both
    return both / union.clamp(min=MIN_UNION)


def _area(boxes: Tensor) -> Tensor:
    """(..., 4) -> (...)."""
    width = boxes[..., 2] - boxes[..., 0]
    height = boxes[..., 3] - boxes[..., 1]
    return width * height
