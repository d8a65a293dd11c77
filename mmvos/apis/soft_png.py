"""Soft masks as gray PNGs, one for each object and frame; and the objects cut out of their frames,
with their probability as opacity.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmvos.io.atomic import make_folder, remove_leftovers, write_image
from mmvos.structures import FrameResult
from mmvos.structures.soft_mask import LARGEST

from .cutout_video import cut_out

BITS = (8, 16)


class SoftPngs:
    """Writes ``FOLDER/<object id>/<frame name>.png``; a context manager.

    Pixel value = probability of the object, 255 or 65535 for 1.

    Args:
        folder: made where missing; files of equal names are overwritten.
        bits: 8 or 16.
    """

    def __init__(self, folder: str | Path, bits: int) -> None:
        self.folder = Path(folder)
        self.bits = bits

    def __enter__(self) -> SoftPngs:
        make_folder(self.folder)
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def write(
        self,
        name: str,
        image: NDArray[np.uint8],
        result: FrameResult,
        time: Fraction | None = None,
    ) -> None:
        """Write the soft masks of one frame.

        Args:
            name: of the frame.
            image, time: not used.
            result: of a model that keeps soft masks.
        """
        height, width = result.shape
        for item in result.objects:
            assert item.soft is not None, 'the model keeps no soft masks'
            values = item.soft.full(height, width)
            if self.bits == 8:
                picture = Image.fromarray(_to_bytes(values))
            else:
                picture = Image.fromarray(values)
            path = self.folder / str(item.id) / f'{name}.png'
            write_image(path, picture, 'PNG')


class SoftCutouts:
    """Writes ``FOLDER/<frame name>.png`` in colors with opacity; a context manager.

    A pixel is as opaque as it is probable that one of the objects is there.

    Args:
        folder: made where missing; files of equal names are overwritten.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __enter__(self) -> SoftCutouts:
        make_folder(self.folder)
        remove_leftovers(self.folder)
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def write(
        self,
        name: str,
        image: NDArray[np.uint8],
        result: FrameResult,
        time: Fraction | None = None,
    ) -> None:
        """Write one frame.

        Args:
            name: of the frame.
            image: (H, W, 3) uint8 BGR.
            result: of a model that keeps soft masks.
            time: not used.
        """
        total = np.zeros(result.shape, np.int64)
        for item in result.objects:
            assert item.soft is not None, 'the model keeps no soft masks'
            total += item.soft.full(*result.shape)
        opacity = _to_bytes(total.clip(0, LARGEST))
        write_image(self.folder / f'{name}.png', Image.fromarray(cut_out(image, opacity)), 'PNG')


def _to_bytes(values: NDArray[np.int64] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Round from 16 to 8 bits: 65535 becomes 255."""
    return ((values.astype(np.int64) * 255 + LARGEST // 2) // LARGEST).astype(np.uint8)
