"""Opens image files that may be damaged, cut off, or made to fill the memory.

A PNG of 1 MB can decode to 100 GB (a decompression bomb): the size in its header is looked at
before a pixel is decoded. Pillow raises a dozen unrelated kinds of errors for damaged files, and
OpenCV fills what is missing with gray and goes on; here both become one sentence with the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from .errors import DataError

MAX_PIXELS = 178_956_970  # where Pillow refuses by itself: 512 MiB in color
MAX_SIDE = 65_535  # what JPEG and GIF can hold; only a damaged header says more
JPEG_START = b'\xff\xd8'
_JPEG_END = b'\xff\xd9'
PNG_START = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND'
# Bytes of a file that hold its end; some cameras write padding behind the end of a picture.
TAIL = 1024


class ImageError(DataError):
    """An image file that cannot be decoded, or is too large to be decoded."""


@contextmanager
def open_image(
    path: str | Path, data: bytes | None = None, where: str | None = None
) -> Iterator[Image.Image]:
    """Open an image with Pillow; its size is sound when the block begins.

    Whatever Pillow raises inside the block, when it decodes, becomes an ``ImageError`` too; so keep
    other work out of the block.

    Args:
        path: the file.
        data: its bytes, where they have been read already.
        where: what a message begins with; the path by default.

    Raises:
        ImageError: the file is missing, no image, damaged, cut off, or has too many pixels.
    """
    where = where or str(path)
    source: str | Path | BytesIO = path
    if data is not None:
        source = BytesIO(data)
    try:
        with Image.open(source) as image:
            _check_size(image.size, where)
            yield image
    except DataError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f'{where} is missing') from error
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(where)) from error
    except MemoryError as error:
        raise ImageError(f'{where} does not fit into the memory') from error
    except Exception as error:  # Pillow raises whatever its format readers stumble over
        if data is None and not _can_be_a_path(path):
            raise ImageError(f'{where!a} cannot be read: it is no name of a file') from error
        reason = getattr(error, 'strerror', None) or str(error) or type(error).__name__
        # Pillow's text for a file of unknown format only repeats the path.
        if isinstance(error, Image.UnidentifiedImageError):
            reason = 'unknown format'
        raise ImageError(
            f'{where} is not an image that can be decoded ({reason.splitlines()[0]}); replace or '
            f'remove it'
        ) from error


def _can_be_a_path(path: str | Path) -> bool:
    """Whether the system takes a name: not with a null byte, nor with letters that it cannot
    write.
    """
    try:
        return b'\0' not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def is_truncated(head: bytes, tail: bytes) -> bool:
    """Whether a JPEG or PNG file lacks its end; files of other formats are not looked at.

    Args:
        head: its first bytes, at least 8.
        tail: its last ``TAIL`` bytes.
    """
    if head.startswith(JPEG_START):
        return _JPEG_END not in tail
    if head.startswith(PNG_START):
        return _PNG_END not in tail
    return False


def check_image_bytes(data: bytes, where: str) -> tuple[int, int]:
    """Check the bytes of an image file before OpenCV decodes them.

    Args:
        data: the whole file.
        where: what a message begins with.

    Returns:
        (H, W) of the header, before an Exif mark turns the picture.

    Raises:
        ImageError: the data is empty, no image, a JPEG or PNG without its end, or has too many
            pixels.
    """
    if not data:
        raise ImageError(f'{where} is empty, not an image that can be decoded')
    if is_truncated(data[: len(PNG_START)], data[-TAIL:]):
        kind = 'JPEG' if data.startswith(JPEG_START) else 'PNG'
        raise ImageError(f'{where} is a truncated {kind}; copy or extract it again')
    with open_image(where, data, where) as image:
        width, height = image.size
    return height, width


def _check_size(size: tuple[int, int], where: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(where, f'{width}x{height}, '))
    if max(width, height) > MAX_SIDE:
        raise ImageError(
            f'{where} claims {width}x{height} pixels, but a side has at most {MAX_SIDE}; make the '
            'picture smaller or remove it'
        )
    if width < 1 or height < 1:
        raise ImageError(f'{where} is not an image that can be decoded (no pixels)')


def _too_large(where: str, size: str = '') -> str:
    return (
        f'{where} claims {size}more than {MAX_PIXELS} pixels, which are not decoded; make the '
        f'picture smaller or remove it'
    )
