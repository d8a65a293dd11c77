"""Finding frames whose file is missing, cut off, or of another size than the annotation file says,
without decoding any.

Plain functions, used by ``YouTubeVISDataset`` and by tools. A video is its entry in a YouTube-VIS
JSON file: id, height, width and file_names. Letters: H, W height and width in pixels.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_HEAD = 4096  # bytes; holds the size of most JPEGs
_TAIL = 1024  # bytes; some cameras write padding behind the end of a JPEG


def missing_frames(
    videos: Sequence[Mapping[str, Any] | None], folder: str | Path
) -> Iterator[tuple[int, str]]:
    """Yields (position in the list, sentence that names video, frame and file) for every video with
    a missing frame.

    Every folder is listed once, no file is opened.

    Args:
        videos: entries of the JSON, None for one that is not to be looked at.
        folder: what the file names are relative to.
    """
    present: dict[str, set[str] | None] = {}
    root = str(folder)
    for position, video in enumerate(videos):
        missing = []
        for t, name in enumerate(video['file_names'] if video else ()):
            parent, base = os.path.split(os.path.join(root, name))
            if parent not in present:
                present[parent] = _listing(parent)
            if base not in (present[parent] or ()):
                missing.append((t, os.path.join(parent, base), present[parent] is None))
        if video and missing:
            t, path, no_folder = missing[0]
            more = f' (and {len(missing) - 1} more of this video)' if len(missing) > 1 else ''
            hint = (
                '; its folder does not exist, check data_root and data_prefix' if no_folder else ''
            )
            yield position, f'video {video["id"]}, frame {t}: {path} is missing{more}{hint}'


def damaged_images(
    videos: Sequence[Mapping[str, Any] | None], folder: str | Path
) -> Iterator[tuple[int, str]]:
    """Yields (position in the list, sentence that names video, frame and file) for every video with
    an ``image_fault``.

    Args:
        videos: entries of the JSON, None for one that is not to be looked at.
        folder: what the file names are relative to.
    """
    for position, video in enumerate(videos):
        if video is None:
            continue
        for t, name in enumerate(video['file_names']):
            path = os.path.join(folder, name)
            fault = image_fault(path, video['height'], video['width'])
            if fault is not None:
                yield position, f'video {video["id"]}, frame {t}: {path} {fault}'
                break


def image_fault(path: str | Path, height: int, width: int) -> str | None:
    """What the first and last bytes of an image file say against it, None if nothing; looks into
    JPEG and PNG only.

    Args:
        path: the file.
        height, width: size that the picture should have.
    """
    try:
        with open(path, 'rb', buffering=0) as file:
            head = file.read(_HEAD)
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            tail = file.read(_TAIL)
            if not head:
                return 'is empty'
            if head.startswith(b'\xff\xd8'):
                ended, size = b'\xff\xd9' in tail, _jpeg_size(head)
                if ended and size is None:
                    file.seek(0)
                    size = _jpeg_size(file.readall())
            elif head.startswith(b'\x89PNG\r\n\x1a\n') and len(head) >= 24:
                ended, size = b'IEND' in tail, struct.unpack('>II', head[16:24])[::-1]
            else:
                return None
    except OSError as error:
        return f'cannot be read: {error.strerror}'
    if not ended:
        return 'is a truncated image; copy or extract it again'
    # A camera's Exif block may tell the decoder to turn the picture; the loader compares the size
    # after that.
    turned = b'Exif' in head and size == (width, height)
    if size is not None and size != (height, width) and not turned:
        return f'is {size[1]}x{size[0]}, but the annotation file says {width}x{height}'
    return None


def _listing(folder: str) -> set[str] | None:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(H, W) from the frame header of a JPEG, None if it does not lie in ``data``."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], 'big')
        # those are no frame headers
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7], 'big'), int.from_bytes(
                data[at + 7 : at + 9], 'big'
            )
        at += 1 if marker == 0xFF else 2 + length
    return None
