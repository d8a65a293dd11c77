"""The mask of a box, pasted into its frame.

S x S the resolution of a box's mask; boxes are continuous xyxy in the pixels of the H x W frame.
Arrays are torch's or numpy's, see ``arrays``.
"""

from __future__ import annotations

import math

from .arrays import Array, array_namespace, device


def paste_in_box(
    probabilities: Array, box: Array, height: int, width: int
) -> tuple[Array, int, int]:
    """Resample the mask of one box to the pixels that it can reach, bilinearly, with zeros around.

    Equal to sampling the mask over the whole frame with ``grid_sample(align_corners=False,
    padding_mode='zeros')``; because the sampling is separable it is two small matrix products, and
    pixels outside the box's neighborhood are never visited.

    Args:
        probabilities: (S, S) float in [0, 1].
        box: (4,) float; it may reach outside the frame.
        height, width: H and W.

    Returns:
        (h, w) float, and the row and column of its first pixel. h or w is 0 where the box lies
        outside the frame.
    """
    x1, y1, x2, y2 = box.tolist()
    size_y, size_x = probabilities.shape

    # Zero padding reaches half a mask cell beyond the box.
    cell_width = (x2 - x1) / size_x
    cell_height = (y2 - y1) / size_y
    margin_x = cell_width / 2
    margin_y = cell_height / 2
    left, right = _pixel_range(x1 - margin_x, x2 + margin_x, width)
    top, bottom = _pixel_range(y1 - margin_y, y2 + margin_y, height)

    # (h, S) and (w, S): bilinear interpolation is one matrix for each axis
    rows = _interpolation(top, bottom, y1, y2, size_y, probabilities)
    columns = _interpolation(left, right, x1, x2, size_x, probabilities)
    pasted = rows @ probabilities @ columns.T
    return pasted, top, left


def _pixel_range(low: float, high: float, size: int) -> tuple[int, int]:
    """First pixel, and one past the last, whose center can lie in [low, high], of ``size``
    pixels.
    """
    first = max(math.floor(low), 0)
    first = min(first, size)
    last = max(math.ceil(high), first)
    last = min(last, size)
    return first, last


def _interpolation(
    first: int, last: int, start: float, end: float, cells: int, like: Array
) -> Array:
    """Weights (last - first, cells) of linear interpolation at pixel centers between cell centers,
    zero outside.
    """
    xp = array_namespace(like)
    place = device(like)
    # (last - first,): where the pixels' centers lie, in cells
    pixels = xp.arange(first, last, dtype=xp.float32, device=place)
    extent = max(end - start, 1e-6)
    cells_per_pixel = cells / extent
    position = (pixels + 0.5 - start) * cells_per_pixel - 0.5
    # A cell's weight falls from 1 at its center to 0 at its neighbors'.
    index = xp.arange(cells, device=place)
    distance = xp.abs(position[:, None] - index)
    weights = xp.clip(1 - distance, 0)
    return xp.astype(weights, like.dtype, copy=False)
