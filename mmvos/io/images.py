"""Reading frames from images: the picture of one file, or all pictures of a TIFF stack, an animated
PNG or an animated WebP.

Pictures are (H, W, 3) uint8 in BGR order, upright. Pixels of 16 bits become 8 bits; how many of the
16 bits are in use (microscopes and industrial cameras store 10, 12 or 14) no file says reliably, so
the caller measures it once for a whole video (`measure_bits`) and gives it to the readers: one
video must not flicker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from os import fsencode
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from .errors import DataError
from .image_checks import JPEG_START, TAIL, ImageError, is_truncated, open_image
from .notes import note_once
from .text import read_bytes

Picture: TypeAlias = NDArray[np.uint8]

# The color depths of cameras. 16 bits that hold no value above 255 hold 8-bit pictures.
_DEPTHS = (8, 10, 12, 14, 16)
_MEASURED_IMAGES = 8
_PNG_BIT_DEPTH = 24  # place in the file
_TIFF_BITS_PER_SAMPLE = 258
_TIFF_SUBFILE_TYPE = 254
_REDUCED_RESOLUTION = 1  # bit of the subfile type: a thumbnail or a level of a pyramid


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says about itself, without its pixels being decoded.

    Attributes:
        height, width: in pixels, of the upright picture.
        pages: the pictures of the file that are frames, by their place in it.
        is_deep: pixels have more than 8 bits for each color.
    """

    height: int
    width: int
    pages: Sequence[int]
    is_deep: bool


def read_header(path: str | Path) -> ImageHeader:
    """Read the header of an image file.

    Raises:
        ImageError: the file cannot be read, is no image, is damaged or unreasonably large.
    """
    with open_image(path) as image:
        width, height = image.size
        if _lies_on_its_side(image):
            height, width = image.size
        pages = _frame_pages(image)
        return ImageHeader(height, width, pages, _is_deep_tiff(image) or _is_deep_png(image))


def read_image(path: str | Path, bits: int = 16) -> Picture:
    """Read the picture of an image file.

    Args:
        path: the file.
        bits: how many of 16 bits are in use, see `measure_bits`; without meaning for 8 bits.

    Returns:
        (H, W, 3) uint8 BGR, turned as the file's orientation mark says.

    Raises:
        ImageError: the file cannot be read, is damaged, or holds no 8- or 16-bit colors.
    """
    return _to_8_bits(_decode(path), bits, path)


def measure_bits(paths: Sequence[str | Path]) -> int:
    """Return how many bits the colors of a video of 16-bit images use.

    Args:
        paths: its images; some of them, spread over the video, are decoded.

    Returns:
        8, 10, 12, 14 or 16.

    Raises:
        ImageError: one of them cannot be read.
    """
    chosen = np.unique(np.linspace(0, len(paths) - 1, _MEASURED_IMAGES).astype(int))
    largest = 0
    for index in chosen:
        pixels = _decode(paths[index])
        if pixels.dtype == np.uint16:
            largest = max(largest, int(pixels.max()))
    return _depth_of(largest)


def read_pages(path: str | Path, bits: int | None = None) -> Iterator[tuple[Picture, int | None]]:
    """Read all pictures of a TIFF stack, an animated PNG or an animated WebP, one at a time.

    Args:
        path: the file.
        bits: how many of 16 bits are in use; by default measured on some of the pages.

    Yields:
        (H, W, 3) uint8 BGR and for how many milliseconds it is shown; None where the file does
        not say.

    Raises:
        ImageError: the file or one of its pictures is damaged; the message names its number.
    """
    with open_image(path) as image:
        pages = _frame_pages(image)
        if bits is None:
            bits = _measure_pages(image, pages, path)
        for number, page in enumerate(pages):
            with _page_named(f'{path}, picture {number} of {len(pages)}'):
                pixels = _decode_page(image, page, path)
                picture = _to_8_bits(pixels, bits, path)
                duration = image.info.get('duration')
            yield picture, round(duration) if duration else None


def frame_rate_of_pages(path: str | Path) -> Fraction | None:
    """Return the pictures per second of an animated image, by the duration of its first picture.

    Raises:
        ImageError: the file is damaged.
    """
    with open_image(path) as image:
        image.seek(_frame_pages(image)[0])
        image.load()
        duration = image.info.get('duration')
    return Fraction(1000, round(duration)) if duration else None


@contextmanager
def _page_named(where: str) -> Iterator[None]:
    """Say of which page of a file an image library complains."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # Pillow raises whatever its format readers stumble over
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ImageError(
            f'{where} is damaged ({reason}); split the file or cut it there'
        ) from error


def _lies_on_its_side(image: Image.Image) -> bool:
    """Whether the file's mark turns the picture by a quarter.

    Pillow would decode a whole PNG to look for this mark, so only photos are asked.
    """
    if image.format not in ('JPEG', 'MPO'):
        return False
    mark: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    return mark >= 5


def _frame_pages(image: Image.Image) -> Sequence[int]:
    """The places of the pictures of a file that are frames of a video."""
    count = getattr(image, 'n_frames', 1)
    # A phone's photo may hold a depth map or a video's first frame beside the picture.
    if count == 1 or image.format in ('JPEG', 'MPO'):
        return (0,)
    if image.format == 'TIFF':
        return _full_pages(image, count)
    # The picture that an animated PNG shows where animations are unknown is no frame.
    first = 1 if image.info.get('default_image') else 0
    # A range, as a damaged file claims hundreds of millions of pictures.
    return range(first, count)


def _full_pages(image: Any, count: int) -> tuple[int, ...]:
    """The pages of a TIFF file that are no thumbnails."""
    pages = []
    for page in range(count):
        image.seek(page)
        if not image.tag_v2.get(_TIFF_SUBFILE_TYPE, 0) & _REDUCED_RESOLUTION:
            pages.append(page)
    image.seek(0)
    return tuple(pages) or (0,)


def _is_deep_tiff(image: Any) -> bool:
    """Whether an image is a TIFF page whose colors have more than 8 bits."""
    if image.format != 'TIFF':
        return False
    bits = np.max(image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, 1))
    return int(bits) > 8


def _is_deep_png(image: Any) -> bool:
    """Whether an image, which cannot be decoded afterwards, is a PNG of 16-bit colors."""
    if image.format != 'PNG':
        return False
    image.fp.seek(_PNG_BIT_DEPTH)
    return bool(image.fp.read(1) == b'\x10')


def _decode(path: str | Path) -> NDArray[Any]:
    """The pixels (H, W, 3) BGR of an image file as they are stored: uint8, uint16 or float."""
    data = read_bytes(path)
    # OpenCV fills a truncated picture with gray and goes on; Pillow, which does not, is asked where
    # the end of a JPEG is missing, and for all other formats.
    has_jpeg_end = data.startswith(JPEG_START) and not is_truncated(data[:8], data[-TAIL:])
    if not has_jpeg_end:
        with open_image(path, data) as image:
            _check_numbers(image.mode, path)
            image.load()
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError(f'{path} is damaged and cannot be decoded; replace or remove it')
    return np.asarray(pixels)


def _decode_page(image: Any, page: int, path: str | Path) -> NDArray[Any]:
    """The pixels (H, W, 3) BGR of one picture of an opened file: uint8, uint16 or float."""
    image.seek(page)
    image.load()
    if image.mode == 'F' or image.mode.startswith('I'):
        gray = np.array(image)
        if image.mode.startswith('I'):
            # 32-bit pictures of small numbers are read, too
            gray = gray.astype(np.uint16) if gray.max(initial=0) <= 0xFFFF else gray
        return np.repeat(gray[..., None], 3, axis=2)
    if image.mode == 'RGB' and _is_deep_tiff(image):
        # Pillow drops the lower half of deep colors, OpenCV does not.
        name: Any = fsencode(path)  # a str of undecodable bytes would be refused
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        read, pixels = cv2.imreadmulti(name, page, 1, flags=flags)
        if read and len(pixels) == 1:
            return np.asarray(pixels[0])
    rgb = np.array(image.convert('RGB'))
    return np.ascontiguousarray(rgb[..., ::-1])


def _measure_pages(image: Image.Image, pages: Sequence[int], path: str | Path) -> int:
    """How many bits the colors of a stack use, measured on some of its pages."""
    if not _is_deep_tiff(image):
        return 16
    chosen = np.unique(np.linspace(0, len(pages) - 1, _MEASURED_IMAGES).astype(int))
    largest = 0
    for index in chosen:
        pixels = _decode_page(image, pages[index], path)
        if pixels.dtype == np.uint16:
            largest = max(largest, int(pixels.max()))
    bits = _depth_of(largest)
    note_depth(bits, path)
    return bits


def note_depth(bits: int, where: str | Path) -> None:
    """Say that 16-bit images are taken as images of fewer bits, where they are."""
    if bits < 16:
        note_once(
            f'color depth of {where}',
            f'{where}: the colors have 16 bits, but only {bits} of them are in use; they are shown '
            f'as {bits}-bit colors, so that {(1 << bits) - 1} is white',
        )


def _depth_of(largest: int) -> int:
    """The smallest usual color depth that holds a value."""
    for depth in _DEPTHS:
        if largest < 1 << depth:
            return depth
    raise AssertionError(largest)


def _check_numbers(mode: str, where: str | Path) -> None:
    """Refuse pixels that are no colors, by Pillow's mode."""
    if mode == 'F':
        raise ImageError(_no_colors(where, 'floating-point'))


def _no_colors(where: str | Path, numbers: object) -> str:
    return (
        f'{where} holds {numbers} numbers, whose black and white no file says; save it with 8 or '
        f'16 bits for each color'
    )


def _to_8_bits(pixels: NDArray[Any], bits: int, where: str | Path) -> Picture:
    """(H, W, 3) uint8 of pixels of 8 bits, or of 16 of which `bits` are in use."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype != np.uint16:
        raise ImageError(_no_colors(where, pixels.dtype))
    if int(pixels.max(initial=0)) >> bits:
        note_once(
            f'colors beyond the depth of {Path(where).parent}',
            f'{where}: colors above {(1 << bits) - 1}, the largest value of the {bits}-bit images '
            f'before it, are shown as white',
        )
    upper_bits = pixels >> (bits - 8)
    return np.asarray(np.minimum(upper_bits, 255), dtype=np.uint8)
