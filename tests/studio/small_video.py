"""Ten frames of colored rectangles, for a studio; needs no torch.

Frames are 64 x 48. Object n is 12 x 16 pixels of the color (40 n, 255, 0) in B, G, R; it moves to
the right by a pixel a frame.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.io.images import Picture

HEIGHT, WIDTH, FRAMES = 48, 64, 10


def object_mask(frame: int, number: int) -> NDArray[np.bool_]:
    """(H, W) bool: where an object is."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    top, left = 2 + 15 * (number - 1), 3 + frame
    mask[top : top + 12, left : left + 16] = True
    return mask


def picture(frame: int, objects: int = 2) -> Picture:
    """(H, W, 3) uint8 BGR."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for number in range(1, objects + 1):
        image[object_mask(frame, number)] = (40 * number, 255, 0)
    return image


def write_frames(folder: Path, frames: int = FRAMES, objects: int = 2) -> Path:
    """Write the video as a folder of PNGs, which lose nothing."""
    folder.mkdir(parents=True)
    for index in range(frames):
        cv2.imwrite(str(folder / f'{index:05d}.png'), picture(index, objects))
    return folder
