"""A clip of two squares that move over noise, and what is said about them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 120, 160
RED, BLUE = (40, 40, 220), (220, 60, 40)  # BGR


def picture(index: int) -> NDArray[np.uint8]:
    """The frame ``index``."""
    rng = np.random.default_rng(3)
    image = rng.integers(60, 130, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    left = 20 + 3 * index
    image[30:70, left : left + 40] = RED
    image[60 + index : 100 + index, 95:130] = BLUE
    return image


def red_mask() -> NDArray[np.bool_]:
    """The red square of frame 0."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[30:70, 20:60] = True
    return mask


BLUE_BOX = (95.0, 60.0, 130.0, 100.0)
