"""Label images: the one reader and the one writer of images whose pixel values are object ids.

What the pixels of a label image mean, for every reader of this project:

    palette image     The indices are the ids, 255 is void (DAVIS, YouTube-VOS). Where the colors
                      that occur are exactly black and white, the image is binary and white is the
                      object, whatever the indices are. A palette that is a gray ramp is read as the
                      gray image that it shows. A palette that does not begin with black is refused.
    1 bit             Binary.
    8-bit gray        Only 0 and 255: binary. Else the values 1 to 50 are ids and 255 is void;
                      a value from 51 to 254 says that the image is a soft mask: refused.
    16-bit gray       The values 1 to 65535 are ids, there is no void. Only 0 and 65535: binary.
    gray with alpha   Read as gray where alpha is the same everywhere, else refused.
    in color          Refused.

In memory labels are (H, W) arrays: uint8, where 255 is void, or uint16, where 255 is an object like
any other. The object of a binary image has the id 1. Letters: H, W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .atomic import write_image
from .errors import DataError
from .image_checks import open_image
from .notes import note_once

Labels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

VOID = 255
LARGEST_ID = 65535
_LARGEST_8_BIT_ID = 254
_LARGEST_GRAY_ID = 50
# Formats that give back the values that were stored. GIF and BMP hold palettes, too.
_LOSSLESS = ('PNG', 'BMP', 'GIF', 'TIFF')
_BLACK = 0
_WHITE = 0xFFFFFF


class LabelImageError(DataError):
    """A file that is no label image, or cannot be read or written as one."""


def read_label_png(path: str | Path) -> Labels:
    """Read one label image; the head of this file says what its values mean.

    Args:
        path: a PNG, or an image of another format without loss.

    Returns:
        (H, W) ids: uint8, where 255 is void, or uint16 without void.

    Raises:
        ImageError: no such file, no image, or a damaged one.
        LabelImageError: colors instead of ids, a soft mask, or a palette that does not begin with
            black.
    """
    with _opened(path) as image:
        return _read_values(image, path)


@dataclass(frozen=True)
class LabelHeader:
    """What the header of a label image says: its size, and whether it has an alpha channel."""

    height: int
    width: int
    has_alpha: bool


def read_label_header(path: str | Path) -> LabelHeader:
    """Read the header of a label image; no pixel is decoded. Raises as `read_label_png`."""
    with _opened(path) as image:
        return LabelHeader(image.height, image.width, image.mode == 'LA')


def read_label_size(path: str | Path) -> tuple[int, int]:
    """Return (H, W) of a label image from its header; raises as `read_label_png`."""
    header = read_label_header(path)
    return header.height, header.width


def labels_of_array(
    array: NDArray[np.integer], where: str, first_id: int = 1
) -> NDArray[np.integer]:
    """Return the ids in an array that a caller gives, by the rule of label images.

    Args:
        array: (H, W) ids of any integer type, or a mask of 0 and 255.
        where: names the array in messages.
        first_id: of the object of a mask.

    Returns:
        (H, W) ids; 0 and `first_id` where the array holds nothing but 0 and 255. Of uint8 arrays
        255 is void, so 0, where there are other ids.

    Raises:
        LabelImageError: a uint8 array is a soft mask.
    """
    values = np.unique(array)
    largest = int(values.max(initial=0))
    others = values[(values != 0) & (values != VOID)]

    # Nothing but 0 and 255: a mask.
    if largest == VOID and not len(others):
        is_white = np.asarray(array == VOID)
        return is_white * np.int64(first_id)

    # Ids and 255: void, if the array is no soft mask.
    if array.dtype == np.uint8 and largest == VOID:
        if int(others.max()) > _LARGEST_GRAY_ID:
            raise LabelImageError(
                f'{where} has the values {int(others.max())} and {VOID}, so it seems to be a soft '
                'mask; give object ids, or a mask of bool.'
            )
        without_void = array.copy()
        without_void[array == VOID] = 0
        return without_void
    return array


def values_in(labels: Labels) -> list[int]:
    """Return the values that occur in (H, W) labels, rising; quick where they are few."""
    if labels.dtype != np.uint8:
        counts = _count_values(labels)
        return [int(value) for value in np.flatnonzero(counts)]
    # From the highest value downwards.
    values = [int(labels.max())]
    while values[-1] > 0:
        # wraps: the next lower value comes out on top
        lowest = values[-1]
        wrapped = labels - np.uint8(lowest)
        below = int(wrapped.max())
        if below < 256 - lowest:
            break
        values.append(below + lowest - 256)
    return values[::-1]


def object_ids(labels: Labels, min_area: int = 1) -> list[int]:
    """Return the ids in (H, W) labels, rising, without background and void.

    Args:
        labels: (H, W).
        min_area: pixels that an object covers at least.
    """
    has_8_bits = labels.dtype == np.uint8
    if has_8_bits and min_area <= 1:
        values = values_in(labels)
    else:
        areas = _count_values(labels)
        is_large = areas >= max(min_area, 1)
        values = np.flatnonzero(is_large).tolist()
    # 255 is void in 8 bits, an id in 16.
    end = VOID if has_8_bits else LARGEST_ID + 1
    return [value for value in values if 0 < value < end]


def _count_values(labels: Labels) -> NDArray[np.float32]:
    """Count the pixels of each value: (256,) or (65536,), exact up to 2**24 pixels.

    np.bincount takes ten times as long, and eight bytes a pixel.
    """
    largest = np.iinfo(labels.dtype).max
    count = int(largest) + 1
    histogram = cv2.calcHist([labels], [0], None, [count], [0, count])
    return np.asarray(histogram.ravel(), dtype=np.float32)


def void_pixels(labels: Labels) -> NDArray[np.bool_]:
    """Return the (H, W) pixels that nothing is said about: 255 in 8 bits; none in 16 bits."""
    if labels.dtype != np.uint8:
        return np.zeros(labels.shape, dtype=np.bool_)
    return np.asarray(labels == VOID)


def merge_objects(labels: Labels) -> NDArray[np.uint8]:
    """Return (H, W) labels in which all objects are object 1 and void is background."""
    objects = np.asarray(labels > 0) & ~void_pixels(labels)
    return objects.astype(np.uint8)


def as_labels(ids: NDArray[np.integer]) -> Labels:
    """Return (H, W) object ids in the smallest type of labels: uint8 up to 254, else uint16.

    Raises:
        LabelImageError: an id does not fit into 16 bits.
    """
    largest = int(ids.max(initial=0))
    if largest > LARGEST_ID:
        raise LabelImageError(
            f'object id {largest} does not fit into a label image, which ends at {LARGEST_ID}'
        )
    if largest <= _LARGEST_8_BIT_ID:
        return ids.astype(np.uint8)
    return ids.astype(np.uint16)


def write_label_png(path: str | Path, labels: Labels) -> None:
    """Write labels.

    `read_label_png` gives the same values back.

    Args:
        path: of the PNG.
        labels: (H, W) uint8, written as a palette PNG in DAVIS's colors, or uint16, written as a
            16-bit gray PNG.

    Raises:
        OutputError: the file cannot be written.
    """
    assert labels.ndim == 2, labels.shape
    assert labels.dtype in (np.uint8, np.uint16), labels.dtype
    image = Image.fromarray(labels)
    if labels.dtype == np.uint8:
        image.putpalette(davis_palette())
    write_image(path, image, 'PNG')


@cache
def davis_palette() -> tuple[int, ...]:
    """Return the 768 numbers of the DAVIS (= PASCAL VOC) palette: bit k of the index, three bits at
    a time, from the top.
    """
    palette = []
    for index in range(256):
        color = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                color[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
        palette.extend(color)
    return tuple(palette)


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """An image whose header has been checked; what Pillow raises inside becomes a sentence."""
    with open_image(path) as image:
        _check_header(image, path)
        yield image


def _check_header(image: Image.Image, path: str | Path) -> None:
    """Refuse what can be seen without decoding: a format with loss, colors, several pictures."""
    if image.format not in _LOSSLESS:
        raise LabelImageError(
            f'{path} is a {image.format} image; label images are PNG, which loses nothing.'
        )
    gray = image.mode in ('1', 'L', 'LA', 'I') or image.mode.startswith('I;16')
    if image.mode != 'P' and not gray:
        raise LabelImageError(
            f'{path} is a {image.mode} image, so it holds colors and no object ids; write an '
            'indexed (palette) or gray PNG whose pixel values are the object ids.'
        )
    pages = getattr(image, 'n_frames', 1)
    if pages > 1:
        raise LabelImageError(
            f'{path} holds {pages} pictures; write one label image per frame and file.'
        )


def _read_values(image: Image.Image, path: str | Path) -> Labels:
    """Decode an image whose header has been checked."""
    if image.mode == 'P':
        return _read_palette_image(image, path)
    if image.mode == '1':
        return np.array(image, dtype=np.uint8)
    if image.mode == 'LA':
        image = _without_alpha(image, path)
    if image.mode == 'L':
        return _read_gray(np.array(image), path)
    return _read_wide_gray(np.array(image), path)


def _read_palette_image(image: Image.Image, path: str | Path) -> Labels:
    indices = np.array(image, dtype=np.uint8)
    palette = _palette_of(image)
    starts_with_black = palette[0] == _BLACK
    # The usual case needs no look at the pixels: no white, so no binary image.
    if starts_with_black and _WHITE not in palette:
        return indices
    colors = {palette[index] for index in values_in(indices)}
    if _WHITE in colors and colors <= {_BLACK, _WHITE}:
        is_white = np.array([color == _WHITE for color in palette], dtype=np.uint8)
        return is_white[indices]
    if starts_with_black:
        is_gray_ramp = palette == [level * 0x010101 for level in range(256)]
        return _read_gray(indices, path) if is_gray_ramp else indices
    if palette[0] == _WHITE and colors == {_BLACK}:
        # a black and white image of a frame without the object
        return np.zeros_like(indices)
    raise LabelImageError(
        f'{path} has a palette whose entry 0, the background, is {_color_name(palette[0])} and not '
        'black, so its indices are no object ids; save it with black as the first color of the '
        'palette, or as a gray PNG of object ids (0 is the background).'
    )


def _palette_of(image: Image.Image) -> list[int]:
    """256 colors as 0xRRGGBB; entries that the file does not have are black."""
    numbers = image.getpalette('RGB') or []
    given = np.array(numbers, dtype=np.int64).reshape(-1, 3)[:256]
    colors = np.zeros((256, 3), dtype=np.int64)
    colors[: len(given)] = given
    places = np.array([0x10000, 0x100, 1])
    packed = colors @ places
    return [int(color) for color in packed]


def _color_name(color: int) -> str:
    return 'white' if color == _WHITE else f'#{color:06x}'


def _without_alpha(image: Image.Image, path: str | Path) -> Image.Image:
    """The gray channel of a gray image with alpha, which must be the same everywhere."""
    least, most = image.getchannel('A').getextrema()
    if least != most:
        raise LabelImageError(
            f'{path} is a gray image with an alpha channel that varies, so it is not clear what '
            'its pixels mean; save it without transparency.'
        )
    note_once(
        'alpha channel',
        f'{path} is a gray image with an alpha channel that says nothing; its gray values are '
        'read. Other programs may refuse it: save it without transparency.',
    )
    return image.getchannel('L')


def _read_gray(values: NDArray[np.uint8], path: str | Path) -> NDArray[np.uint8]:
    """8 bits: binary, or ids with void; see the head of this file."""
    present = values_in(values)
    if present[-1] == VOID and len(present) <= 2 and present[0] in (0, VOID):
        return values // VOID
    ids = [value for value in present if value != VOID]
    if ids[-1] > _LARGEST_GRAY_ID:
        raise LabelImageError(
            f'{path} is a gray image with the value {ids[-1]}, so it seems to be a soft mask; '
            f'write 0 and 255 for one object, ids up to {_LARGEST_GRAY_ID}, or a palette PNG.'
        )
    return values


def _read_wide_gray(values: NDArray[np.integer], path: str | Path) -> Labels:
    """16 bits: binary, or ids without void; see the head of this file."""
    least = int(values.min())
    most = int(values.max())
    if least < 0 or most > LARGEST_ID:
        raise LabelImageError(
            f'{path} has the value {least if least < 0 else most}; object ids in label images are '
            f'0 to {LARGEST_ID}.'
        )
    labels = values.astype(np.uint16)

    # White: a binary mask, or an id that nobody uses.
    if most == LARGEST_ID:
        present = values_in(labels)
        if set(present) <= {0, LARGEST_ID}:
            return (labels > 0).astype(np.uint8)
        if len(present) > _LARGEST_GRAY_ID:
            raise LabelImageError(
                f'{path} is a gray image with {len(present)} values up to white, so it seems to '
                'be a soft mask; write black and white, or object ids.'
            )
    return labels
