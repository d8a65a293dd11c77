"""Rotated boxes of masks, as VOT results need them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Polygon = tuple[tuple[float, float], ...]
MIN_AREA = 100.0  # contour area from which on a mask is an object


def mask_polygon(mask: NDArray[np.bool_], min_area: float = MIN_AREA) -> Polygon | None:
    """Return the smallest rotated rectangle around the largest part of a mask.

    Args:
        mask: (H, W).
        min_area: parts whose outline encloses no more than this do not count; a block of w x h
            pixels has (w - 1)(h - 1).

    Returns:
        Four corners (x, y) in pixel indices, or None where no part is large enough.
    """
    part = _largest_part(mask)
    if part is None or cv2.contourArea(part) <= min_area:
        return None

    # (n, 1, 2) -> (n, 2) points, and the rotated rectangle around them
    points = part.reshape(-1, 2)
    rectangle = cv2.minAreaRect(points)

    # (4, 2)
    corners = np.asarray(cv2.boxPoints(rectangle), dtype=np.float64)
    return tuple((x, y) for x, y in corners.tolist())


def mask_box(mask: NDArray[np.bool_]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the upright box around the largest part of a mask.

    Args:
        mask: (H, W), not empty.

    Returns:
        Center (x, y) and size (width, height).
    """
    part = _largest_part(mask)
    assert part is not None
    left, top, width, height = cv2.boundingRect(part)
    x = left + width / 2
    y = top + height / 2
    size = (float(width), float(height))
    return (x, y), size


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.int32] | None:
    """The outline (n, 1, 2) that encloses most, if there is any."""
    pixels = mask.astype(np.uint8)
    found = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # OpenCV 3 returns the image in front of the contours.
    contours = [np.asarray(contour, dtype=np.int32) for contour in found[-2]]
    if not contours:
        return None
    return max(contours, key=cv2.contourArea)


def box_polygon(center: tuple[float, float], size: tuple[float, float]) -> Polygon:
    """Return the four corners of an upright box.

    Args:
        center: (x, y).
        size: (width, height).
    """
    x, y = center
    width, height = size
    x1 = x - width / 2
    y1 = y - height / 2
    x2 = x + width / 2
    y2 = y + height / 2
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)
