"""The box of a mask."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]


def tight_box(mask: NDArray[np.bool_] | NDArray[np.uint8]) -> Box | None:
    """Return the smallest box around the pixels of a mask.

    Args:
        mask: (H, W) bool, or uint8 where every value but 0 belongs to the object.

    Returns:
        x1, y1, x2, y2 in pixels, the ends not included: a single pixel at the origin has
        (0, 0, 1, 1). None for an empty mask.
    """
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    x, y, width, height = cv2.boundingRect(pixels)
    if width == 0:
        return None
    return x, y, x + width, y + height
