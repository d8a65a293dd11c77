"""Rotated boxes of masks, as VOT results need them."""
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Polygon = tuple[tuple[float, float], ...]
SMALLEST = 100.0  # contour area from which on a mask is an object


def mask_polygon(mask: NDArray[np.bool_], smallest: float = SMALLEST) -> Polygon | None:
    """The smallest rotated rectangle around the largest part of a mask.

    Args:
        mask: (H, W).
        smallest: parts whose outline encloses no more than this do not count; a block of w x h pixels has (w - 1)(h - 1).

    Returns:
        Four corners (x, y) in pixel indices, or None where no part is large enough.
    """
    found = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[-2]
    if not found:
        return None
    areas = [cv2.contourArea(contour) for contour in found]
    largest = int(np.argmax(areas))
    if areas[largest] <= smallest:
        return None
    corners = cv2.boxPoints(cv2.minAreaRect(found[largest].reshape(-1, 2)))
    return tuple((x, y) for x, y in np.asarray(corners, dtype=np.float64).tolist())


def box_polygon(center: tuple[float, float], size: tuple[float, float]) -> Polygon:
    """The four corners of an upright box of a centre and a size (width, height)."""
    (x, y), (width, height) = center, size
    x1, y1, x2, y2 = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)
