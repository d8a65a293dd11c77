"""Regions of the VOT challenge: rectangles and polygons as numbers, and the box a tracker starts
from.

Pure arithmetic. A polygon is (8,) float: x0, y0, ..., x3, y3 in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
FARTHEST = 1e5  # a coordinate beyond this is no place in or near an image


def as_polygon(values: NDArray[np.float64]) -> Polygon:
    """Bring a region into four corners.

    Args:
        values: (4,) x, y, width, height, where the last pixel is x + width - 1; or (8,) corners.

    Returns:
        (8,) corners x, y; eight numbers as they are.
    """
    assert values.shape in ((4,), (8,)), values.shape
    if len(values) == 8:
        return values
    x, y, width, height = values
    right = x + width - 1
    bottom = y + height - 1
    upper = [x, y, right, y]
    lower = [right, bottom, x, bottom]
    return np.array(upper + lower)


def box_of_polygon(polygon: Polygon) -> tuple[float, float, float, float]:
    """The upright box (center x, center y, width, height) of a polygon's center and about its area.

    The extent is shrunk by the root of the share that the polygon covers, and counts pixels (+ 1).
    """
    corners = polygon.reshape(4, 2)
    center = corners.mean(axis=0)
    extent = np.ptp(corners, axis=0)  # of the upright box around all corners

    # the area of a rotated rectangle, from two of its sides
    side = np.linalg.norm(corners[1] - corners[0])
    next_side = np.linalg.norm(corners[2] - corners[1])
    area = side * next_side
    upright_area = extent.prod()
    scale = np.sqrt(area / upright_area) if upright_area else 1.0

    width, height = scale * extent + 1
    return float(center[0]), float(center[1]), float(width), float(height)
