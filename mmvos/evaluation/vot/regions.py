"""Regions of the VOT challenge: rectangles and polygons as numbers, their overlap, and the box a
tracker starts from.

Pure arithmetic. A polygon is (8,) float: x0, y0, ..., x3, y3 in pixels. Overlap is that of
rasterized polygons: vertices are rounded and the outline belongs to the polygon, so a square from 0
to 10 has 11 x 11
    pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
FARTHEST = 1e5  # a coordinate beyond this is no place in or near an image
_MOST_PIXELS = 1 << 26


def as_polygon(values: NDArray[np.float64]) -> Polygon:
    """Four corners of 4 numbers (x, y, width, height; the last pixel is x + width - 1) or 8 numbers
    as they are.
    """
    assert values.shape in ((4,), (8,)), values.shape
    if len(values) == 8:
        return values
    x, y, width, height = values
    right, bottom = x + width - 1, y + height - 1
    return np.array([x, y, right, y, right, bottom, x, bottom])


def box_of_polygon(polygon: Polygon) -> tuple[float, float, float, float]:
    """The upright box (center x, center y, width, height) of a polygon's center and about its area.

    The extent is shrunk by the root of the share that the polygon covers, and counts pixels (+ 1).
    """
    corners = polygon.reshape(4, 2)
    center, extent = corners.mean(0), np.ptp(corners, axis=0)
    area = np.linalg.norm(corners[1] - corners[0]) * np.linalg.norm(corners[2] - corners[1])
    scale = np.sqrt(area / extent.prod()) if extent.prod() else 1.0
    width, height = scale * extent + 1
    return float(center[0]), float(center[1]), float(width), float(height)


def overlap(first: Polygon, second: Polygon, bounds: tuple[int, int] | None = None) -> float:
    """Intersection over union of two rasterized polygons.

    Args:
        bounds: largest x and y that count (from 0); None: everything.
    Returns:
        In [0, 1]; 0 where their boxes only touch.
    Raises:
        ValueError: without bounds, polygons that are too far apart or too large to be rasterized.
    """
    corners = [_round(one).reshape(4, 2) for one in (first, second)]
    # (2, 2) each
    low, high = (np.array([pick(one, axis=0) for one in corners]) for pick in (np.min, np.max))
    if bounds is not None:
        low, high = np.maximum(low, 0), np.minimum(high, bounds)
    # (2,) per axis; 0: they touch, or one is a line in the other
    gap = np.maximum(*low) - np.minimum(*high)
    if (gap > 0).any() or ((gap == 0) & (high > low).all(0)).any():
        return 0.0
    origin, size = low.min(0), high.max(0) - low.min(0) + 1
    if size.prod() > _MOST_PIXELS:
        raise ValueError(
            f'regions cover {size[0]:.0f} x {size[1]:.0f} pixels, and the size of the image is not '
            f'known'
        )
    masks = np.zeros((2, size[1], size[0]), np.uint8)
    for mask, polygon in zip(masks, corners, strict=True):
        cv2.fillPoly(mask, [(polygon - origin).astype(np.int32)], 1)
    shared = np.count_nonzero(masks[0] & masks[1])
    union = np.count_nonzero(masks[0] | masks[1])
    return shared / union if union else 0.0


def _round(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Half away from zero, as C does."""
    return (np.sign(values) * np.floor(np.abs(values) + 0.5)).astype(np.int64)
