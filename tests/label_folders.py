"""Makes small folders of label PNGs for the tests of the DAVIS and YouTube-VOS protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 48, 70
# with fewer colors Pillow cuts the values
PALETTE = [value for value in range(256) for _ in range(3)]


def labels(**boxes: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A label image: `o3=(top, left, height, width)` is object 3."""
    image = np.zeros(SIZE, np.uint8)
    for name, (top, left, height, width) in boxes.items():
        image[top : top + height, left : left + width] = int(name[1:])
    return image


def write(
    root: Path, sequences: Mapping[str, Sequence[NDArray[np.uint8]]], mode: str = 'P'
) -> Path:
    """Write ROOT/SEQUENCE/00000.png, ..."""
    for name, frames in sequences.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(frames):
            image = Image.fromarray(frame, mode)
            if mode == 'P':
                image.putpalette(PALETTE)
            image.save(root / name / f'{number:05}.png')
    return root
