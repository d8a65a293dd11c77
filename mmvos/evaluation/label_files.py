"""Label images on disk: one PNG per frame whose pixel values are object ids (DAVIS, YouTube-VOS),
in a folder per sequence.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .input_error import EvaluationInputError

Labels = NDArray[np.uint8]
VOID = 255
_MOST_PIXELS = 1 << 26
_MOST_GRAY_IDS = 20  # a gray image with other values than these and 255 is a soft mask, not ids


def list_sequences(root: Path) -> dict[str, Path]:
    """Folders in `root` that hold at least one PNG, by name in sorted order.

    Raises:
        EvaluationInputError: no such folder, or none in it.
    """
    if not root.is_dir():
        raise EvaluationInputError(
            f'{root} is no folder; give the folder that holds one folder per sequence.'
        )
    found = {
        folder.name: folder
        for folder in sorted(root.iterdir())
        if folder.is_dir() and next(folder.glob('*.png'), None) is not None
    }
    if not found:
        raise EvaluationInputError(
            f'{root} holds no folder with PNG files; give the folder with one folder per sequence.'
        )
    return found


def list_frames(folder: Path) -> dict[str, Path]:
    """PNG files of a sequence by stem, in sorted order."""
    return {path.stem: path for path in sorted(folder.glob('*.png'))}


def check_sequences(truth: dict[str, Path], results: dict[str, Path], root: Path) -> None:
    """Refuse results that lack a sequence of the ground truth or have one that it does not list."""
    for names, problem, remedy in (
        (truth.keys() - results.keys(), 'lacks', 'predict every sequence'),
        (
            results.keys() - truth.keys(),
            'has',
            'which the ground truth does not list; remove it or choose the split',
        ),
    ):
        if names:
            more = f' and {len(names) - 1} more' if len(names) > 1 else ''
            raise EvaluationInputError(
                f'{root} {problem} the sequence {min(names)}{more}: {remedy}.'
            )


def check_frames(
    wanted: dict[str, Path], given: dict[str, Path], folder: Path, optional: set[str]
) -> None:
    """Refuse a sequence of results without one of the frames, or with one that the ground truth
    does not have.
    """
    missing = sorted(wanted.keys() - given.keys() - optional)
    if missing:
        raise EvaluationInputError(
            f'{folder} lacks frame {missing[0]}.png and {len(missing) - 1} more; write one PNG '
            'per frame of the ground truth, under the same names.'
        )
    extra = sorted(given.keys() - wanted.keys())
    if extra:
        raise EvaluationInputError(
            f'{folder} has frame {extra[0]}.png and {len(extra) - 1} more that the ground truth '
            'does not have; remove them or use the same frame names.'
        )


def read_labels(path: Path, shape: tuple[int, int] | None = None, binary: bool = False) -> Labels:
    """Read one label image.

    Args:
        shape: (H, W) that it must have. binary: a gray image of 0 and 255 is read as 0 and 1
            (DAVIS-2016).
    Returns:
        (H, W) uint8 ids.
    Raises:
        EvaluationInputError: no PNG, colors instead of ids, another size, or a soft mask.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of large images, which are refused below
            image = Image.open(path)
        _check_image(image, path, shape)
        labels = np.array(image.convert('L') if image.mode == '1' else image, np.uint8)
    except EvaluationInputError:
        raise
    except Exception as error:  # Pillow raises a dozen unrelated kinds for damaged files
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise EvaluationInputError(
            f'{path} cannot be read as an image ({reason}); write it again.'
        ) from None
    if image.mode == 'P':
        return labels
    return _ids_of_gray(labels, path, binary)


def read_shape(path: Path) -> tuple[int, int]:
    """(H, W) of a label image; raises as `read_labels`."""
    height, width = read_labels(path, binary=True).shape
    return height, width


def values_in(labels: Labels) -> list[int]:
    """The values that occur in (H, W) uint8 labels, in rising order; quick where they are few."""
    values = [int(labels.max())]
    while values[-1] > 0:
        # wraps: the next lower value comes out on top
        below = int((labels - np.uint8(values[-1])).max())
        if below < 256 - values[-1]:
            break
        values.append(below + values[-1] - 256)
    return values[::-1]


def ids_in(labels: Labels) -> list[int]:
    """Object ids that occur in labels: neither background (0) nor void (255)."""
    return [i for i in values_in(labels) if 0 < i < VOID]


class LabelImages(Sequence[Labels]):
    """Label images that are read when they are asked for, so that one frame is in memory at a
    time.
    """

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int], binary: bool = False) -> None:
        self.paths, self.shape, self.binary = paths, shape, binary

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, frame: int) -> Labels:  # type: ignore[override]
        return read_labels(self.paths[frame], self.shape, self.binary)


def _check_image(image: Image.Image, path: Path, shape: tuple[int, int] | None) -> None:
    if image.format != 'PNG':
        raise EvaluationInputError(
            f'{path} is a {image.format} image; label images are PNG, which loses nothing.'
        )
    if image.mode not in ('P', 'L', '1'):
        raise EvaluationInputError(
            f'{path} is a {image.mode} image (colors, or more than 8 bits) and so no label image; '
            f'write '
            'an indexed (palette) or gray PNG whose pixel values are the object ids.'
        )
    if shape is not None and (image.height, image.width) != shape:
        raise EvaluationInputError(
            f'{path} is {image.height} x {image.width} but the ground truth is {shape[0]} x '
            f'{shape[1]} '
            '(height x width); write label images at the size of the ground truth.'
        )
    if image.height * image.width > _MOST_PIXELS:
        raise EvaluationInputError(
            f'{path} is {image.height} x {image.width}, larger than any video; write it again.'
        )


def _ids_of_gray(labels: Labels, path: Path, binary: bool) -> Labels:
    values = np.array(values_in(labels))
    if binary and values[-1] == VOID and set(values) <= {0, VOID}:
        return (labels > 0).astype(np.uint8)
    if values[values < VOID].max(initial=0) > _MOST_GRAY_IDS:
        raise EvaluationInputError(
            f'{path} is a gray image with the value {values[values < VOID][-1]}, so it seems to be '
            f'a '
            'soft mask; write object ids (for DAVIS-2016: 0 and 255).'
        )
    return labels
