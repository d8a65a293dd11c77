"""Label PNGs: one palette image per frame whose pixel values are object ids, as DAVIS and
YouTube-VOS have them.
"""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmvos.io.atomic import make_folder, remove_leftovers
from mmvos.io.label_png import LabelImageError, as_labels, write_label_png
from mmvos.structures import FrameResult


class LabelPngs:
    """Writes ``FOLDER/<frame name>.png``; a context manager.

    Pixel value = object id, 0 = background, where masks overlap the higher score wins. A frame
    whose largest id is at most 254 is a palette PNG (DAVIS colors, whose 255 means void); a frame
    with a larger id is a 16-bit gray PNG, which all readers of this project, Pillow and
    ``cv2.imread(..., cv2.IMREAD_UNCHANGED)`` read as ids too.

    Args:
        folder: made where missing; files of equal names are overwritten.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._earlier: set[str] = set()

    def __enter__(self) -> LabelPngs:
        make_folder(self.folder)
        remove_leftovers(self.folder)
        self._earlier = {path.name for path in self.folder.glob('*.png')}
        return self

    def __exit__(self, *error: object) -> None:
        if self._earlier:
            warnings.warn(
                f'{self.folder} still holds {len(self._earlier)} label images that this run did '
                f'not write, e.g. {min(self._earlier)}',
                stacklevel=2,
            )

    def write(
        self,
        name: str,
        image: NDArray[np.uint8],
        result: FrameResult,
        time: Fraction | None = None,
    ) -> None:
        """Write the labels of one frame.

        Args:
            name: name of the frame.
            image, time: not used.
            result: the objects.

        Raises:
            ValueError: an id does not fit into 16 bits.
        """
        path = self.folder / f'{name}.png'
        try:
            labels = as_labels(result.label_map())
        except LabelImageError as error:
            raise LabelImageError(
                f'{path}: {error}; leave the images out, results.json holds all objects'
            ) from None
        write_label_png(path, labels)
        self._earlier.discard(path.name)
