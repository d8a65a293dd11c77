"""The overlap of two polygons in pixels, by the two rules that VOT results are scored with.

The tools of SiamMask and pysot (``overlap``) and the VOT toolkit (``toolkit_overlap``) both count
pixels, and both fill a polygon row by row: the corners are rounded to pixels, each edge that
reaches a row gives a node there, its x cut to a whole number, and the pixels between the nodes are
filled, the nodes included. So a square from 0 to 10 has 11 x 11 pixels. ``cv2.fillPoly`` rounds x
and draws the outline, which makes rotated boxes larger. The two rules differ in small things:

* corners on half a pixel: the tools round away from the first pixel of the window around both
  polygons, the toolkit to even;
* a corner that is alone in its row, such as the top of a diamond: no pixel for the tools, one for
  the toolkit;
* boxes that only touch: no overlap for the tools, that of the shared pixels for the toolkit;
* two polygons without any pixel: NaN for the tools, 1 for the toolkit.

Letters: R rows of the window around both polygons. A polygon is (8,) float: x0, y0, ..., x3, y3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .regions import Polygon

_EDGES = 4
# The tools do not compare boxes whose areas differ more than this.
_MIN_AREA_RATIO = 1e-10


def overlap(first: Polygon, second: Polygon, bounds: tuple[float, float] | None = None) -> float:
    """Intersection over union as the tools of SiamMask and pysot count it.

    Args:
        first, second: (8,) corners in pixels.
        bounds: largest x and y that count (from 0); None: everything.

    Returns:
        In [0, 1]; 0 where the boxes around them only touch, NaN where neither has a pixel.
    """
    corners = np.array([first, second], np.float32).reshape(2, _EDGES, 2)

    # the box around each polygon in whole pixels, cut to the bounds: (2, 2), a row for each
    low = np.floor(corners.min(axis=1)).astype(np.float64)
    high = np.ceil(corners.max(axis=1)).astype(np.float64)
    if bounds is not None:
        low = np.maximum(low, 0)
        high = np.minimum(high, bounds)
    if _boxes_are_apart(low, high):
        return 0.0

    # both polygons in the window around both boxes, corners rounded to its pixels
    origin = low.min(axis=0)
    width, height = high.max(axis=0) - origin + 1
    shifted = corners - origin.astype(np.float32)
    rounded = np.copysign(np.floor(np.abs(shifted) + np.float32(0.5)), shifted)
    return _rasterized_overlap(rounded, int(width), int(height), toolkit=False)


def toolkit_overlap(
    first: Polygon, second: Polygon, bounds: tuple[float, float] | None = None
) -> float:
    """Intersection over union as the VOT toolkit (0.9) counts it.

    Args:
        first, second: (8,) corners in pixels.
        bounds: largest x and y that count (from 0); None: everything.

    Returns:
        In [0, 1]; 1 where neither has a pixel.
    """
    corners = np.round(np.array([first, second], np.float32)).reshape(2, _EDGES, 2)
    low = corners.min(axis=(0, 1)).astype(np.float64)
    high = corners.max(axis=(0, 1)).astype(np.float64)
    if (low >= high).any():
        return 1.0
    if bounds is not None:
        low = np.maximum(low, 0)
        high = np.minimum(high, bounds)
    if (low >= high).any():
        return 0.0

    width, height = high - low + 1
    return _rasterized_overlap(corners - low, int(width), int(height), toolkit=True)


def _boxes_are_apart(low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    """Whether the tools see no overlap in two boxes: they only touch, one has no area, or one lies
    outside the bounds.

    Args:
        low, high: (2, 2) smallest and largest x and y of each box.
    """
    areas = (high - low).prod(axis=1)
    shared = np.minimum(*high) - np.maximum(*low)
    if (high.max(axis=0) < low.min(axis=0)).any():
        return True
    if not areas.any():
        # two lines or points: they are compared pixel by pixel where they meet, and have none
        return bool(shared.prod() != 0)
    if (areas <= _MIN_AREA_RATIO * areas[::-1]).any():
        return True
    return bool((shared <= 0).any())


def _rasterized_overlap(
    corners: NDArray[np.floating[Any]], width: int, height: int, toolkit: bool
) -> float:
    """Intersection over union of two polygons in one window.

    Args:
        corners: (2, 4, 2) whole numbers, from the window's first pixel; they may lie outside.
        width, height: of the window in pixels.
        toolkit: by the toolkit's rule, else by the tools'.

    Returns:
        In [0, 1]; where neither has a pixel 0 for the toolkit, NaN for the tools.
    """
    # (2, R, 3) each: up to three spans of pixels in each of R rows
    first, last = _spans(corners.astype(np.float64), width, height, toolkit)
    lengths = np.maximum(last - first + 1, 0)
    pixels = lengths.sum()

    # (R, 3, 3): what each span of the one shares with each span of the other
    first_one = first[0, :, :, None]
    first_other = first[1, :, None, :]
    last_one = last[0, :, :, None]
    last_other = last[1, :, None, :]
    shared_first = np.maximum(first_one, first_other)
    shared_last = np.minimum(last_one, last_other)
    shared = np.maximum(shared_last - shared_first + 1, 0).sum()

    union = pixels - shared
    if union:
        return float(shared / union)
    return 0.0 if toolkit else np.nan


def _spans(
    corners: NDArray[np.float64], width: int, height: int, toolkit: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fill two polygons: per row up to three spans that share no pixel.

    Args:
        corners, width, height, toolkit: see ``_rasterized_overlap``.

    Returns:
        (2, R, 3) columns of each span's first and last pixel; an empty span has a last pixel before
        its first.
    """
    x = corners[:, None, :, 0]  # (2, 1, 4)
    y = corners[:, None, :, 1]

    # each edge goes from a corner to the one before
    run = np.roll(x, 1, axis=2) - x
    rise = np.roll(y, 1, axis=2) - y
    rows = np.arange(height)[:, None]
    level = rise == 0

    # The nodes of each row. The order of the operations counts: what comes out a hair below a whole
    # number is cut to the one before.
    reached = (np.minimum(y, y + rise) <= rows) & (rows <= np.maximum(y, y + rise))  # (2, R, 4)
    nodes = np.trunc(x + (rows - y) / np.where(level, 1, rise) * run)
    if toolkit:
        nodes = np.where(level, x, nodes)
    else:
        reached &= ~level
    nodes = np.where(reached, nodes, np.inf)
    nodes.sort(axis=2)

    # Walk over the sorted nodes. Of two that are equal (a corner between two rows) the first is
    # passed over; else the pixels between a node and the next are filled, and the walk goes on
    # behind both.
    exists = np.isfinite(nodes)
    first = np.zeros((2, height, _EDGES - 1))
    last = np.full(first.shape, -1.0)
    filled = np.zeros((2, height), dtype=bool)
    end_of_last = np.full((2, height), -1.0)
    for k in range(_EDGES - 1):
        start = nodes[:, :, k]
        end = nodes[:, :, k + 1]
        passed_over = start == end
        if toolkit and k + 2 < _EDGES:
            passed_over &= exists[:, :, k + 2]  # not the last two of a row
        elif toolkit:
            passed_over[:] = False
        filled = exists[:, :, k + 1] & ~passed_over & ~filled

        # a pixel that the span before has filled is not counted again
        np.copyto(first[:, :, k], np.maximum(start, end_of_last + 1), where=filled)
        np.copyto(last[:, :, k], np.minimum(end, width - 1), where=filled)
        np.copyto(end_of_last, np.maximum(end_of_last, end), where=filled)
    return first, last
