"""Finding frames whose file is missing, cut off, or of another size than the annotation file says,
without decoding any.

Plain functions, used by ``YouTubeVISDataset`` and by tools. A video is its entry in a YouTube-VIS
JSON file: id, height, width and file_names. Letters: H, W height and width in pixels.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmvos.io.image_checks import JPEG_START, PNG_START, TAIL, is_truncated

_HEAD = 4096  # bytes; holds the size of most JPEGs
# Markers C4, C8 and CC are something else.
_JPEG_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def missing_frames(
    videos: Sequence[Mapping[str, Any] | None], folder: str | Path
) -> Iterator[tuple[int, str]]:
    """Find the videos with a missing frame.

    Every folder is listed once, no file is opened.

    Args:
        videos: entries of the JSON, None for one that is not to be looked at.
        folder: what the file names are relative to.

    Yields:
        Position in the list, and a sentence that names video, frame and file.
    """
    present: dict[str, set[str] | None] = {}
    root = str(folder)
    for position, video in enumerate(videos):
        if video is None:
            continue
        missing = []
        for t, name in enumerate(video['file_names']):
            parent, base = os.path.split(os.path.join(root, name))
            if parent not in present:
                present[parent] = _listing(parent)
            if base not in (present[parent] or ()):
                missing.append((t, parent, base))
        if not missing:
            continue
        # The first one is named.
        t, parent, base = missing[0]
        fault = f'video {video["id"]}, frame {t}: {os.path.join(parent, base)} is missing'
        if len(missing) > 1:
            fault += f' (and {len(missing) - 1} more of this video)'
        if present[parent] is None:
            fault += '; its folder does not exist, check data_root and data_prefix'
        yield position, fault


def damaged_images(
    videos: Iterable[Mapping[str, Any] | None], folder: str | Path
) -> Iterator[tuple[int, str]]:
    """Find the videos with an ``image_fault``.

    Args:
        videos: entries of the JSON, None for one that is not to be looked at.
        folder: what the file names are relative to.

    Yields:
        Position in the list, and a sentence that names video, frame and file.
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
    """Return what the first and last bytes of an image file say against it, None if nothing.

    Args:
        path: the file; only JPEG and PNG are looked into.
        height, width: size that the picture should have.
    """
    try:
        with open(path, 'rb', buffering=0) as file:
            head = file.read(_HEAD)
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            tail = file.read(TAIL)
            if not head:
                return 'is empty'
            if is_truncated(head, tail):
                return 'is a truncated image; copy or extract it again'
            size = _image_size(head)
            if size is None and head.startswith(JPEG_START):
                # Behind a large block of a camera.
                file.seek(0)
                size = _jpeg_size(file.readall())
    except OSError as error:
        return f'cannot be read: {error.strerror}'
    if size is None or size == (height, width):
        return None
    # A camera's Exif block may tell the decoder to turn the picture; the loader compares the size
    # after that.
    if b'Exif' in head and size == (width, height):
        return None
    return f'is {size[1]}x{size[0]}, but the annotation file says {width}x{height}'


def _image_size(head: bytes) -> tuple[int, int] | None:
    """(H, W) from the first bytes of a JPEG or PNG, None if it does not stand there."""
    if head.startswith(JPEG_START):
        return _jpeg_size(head)
    if head.startswith(PNG_START) and len(head) >= 24:
        width, height = struct.unpack('>II', head[16:24])
        return height, width
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
    # Segments: 0xFF, a marker, the length of the segment in two bytes.
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            # A byte of padding.
            at += 1
            continue
        if marker in _JPEG_FRAME_HEADERS:
            height, width = struct.unpack('>HH', data[at + 5 : at + 9])
            return height, width
        at += 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
    return None
