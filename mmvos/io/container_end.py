"""Whether a video file ends where its container says, for the containers whose readers do not tell.

FFmpeg reads a Matroska, WebM, GIF or YUV4MPEG file that was cut off (a download or a copy that
broke off, a recorder that was killed) up to the cut and reports the usual end. Matroska and GIF
are trees of elements with sizes: they are walked here without being decoded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

# identifiers without the bit that says how long they are
_SEGMENT = 0x8538067
_CLUSTER = 0xF43B675
_UNKNOWN = -1
_END = -2
_NO_NUMBER = -3
_GIF_EXTENSION = b'\x21'
_GIF_IMAGE = b'\x2c'
_GIF_TRAILER = b'\x3b'


def is_cut_off(path: str | Path, container: str) -> bool:
    """Return whether a file ends inside one of its parts.

    Args:
        path: the file.
        container: FFmpeg's name of its format.

    Returns:
        False for whole files, and for formats that are not looked at.
    """
    if container == 'matroska,webm':
        ends_inside = _matroska_ends_inside
    elif container == 'gif':
        ends_inside = _gif_ends_inside
    else:
        return False
    with open(path, 'rb') as stream:
        return ends_inside(stream, os.fstat(stream.fileno()).st_size)


def _matroska_ends_inside(stream: BinaryIO, size: int) -> bool:
    """Whether a Matroska file ends inside an element."""
    place = 0
    while place < size:
        stream.seek(place)
        identifier = _read_number(stream)
        length = _read_number(stream)
        if identifier == _END or length == _END:
            return True
        if identifier == _NO_NUMBER or length == _NO_NUMBER:
            # damaged, or something else stands behind the end: nothing can be said
            return False
        begin = stream.tell()
        # Recorders do not know the size of what they are still writing. Its parts follow as if
        # they stood beside it.
        if length == _UNKNOWN:
            if identifier not in (_SEGMENT, _CLUSTER):
                return False
            place = begin
        else:
            place = begin + length
    return place > size


def _read_number(stream: BinaryIO) -> int:
    """A number of Matroska's: the leading zero bits of its first byte say how many bytes follow.

    Returns:
        The number, `_UNKNOWN` where all its bits are set, `_END` at the end of the file, or
        `_NO_NUMBER`.
    """
    first = stream.read(1)
    if not first:
        return _END
    if first[0] == 0:
        return _NO_NUMBER
    length = 9 - first[0].bit_length()
    rest = stream.read(length - 1)
    if len(rest) < length - 1:
        return _END
    marker = 1 << (7 * length)
    number = int.from_bytes(first + rest, 'big') - marker
    return _UNKNOWN if number == marker - 1 else number


def _gif_ends_inside(stream: BinaryIO, size: int) -> bool:
    """Whether a GIF ends before its trailer."""
    # header and logical screen, whose flags say how large the color table is
    screen = stream.read(13)
    if len(screen) < 13:
        return True
    stream.seek(_color_table_bytes(screen[10]), os.SEEK_CUR)
    while True:
        kind = stream.read(1)
        if kind == _GIF_TRAILER:
            return False
        if kind == _GIF_EXTENSION:
            stream.seek(1, os.SEEK_CUR)
        elif kind == _GIF_IMAGE:
            descriptor = stream.read(9)
            if len(descriptor) < 9:
                return True
            # one more byte: the size of the first codes
            stream.seek(_color_table_bytes(descriptor[8]) + 1, os.SEEK_CUR)
        else:
            # the end of the file, or bytes that belong to no part
            return True
        if not _skip_sub_blocks(stream):
            return True


def _color_table_bytes(flags: int) -> int:
    has_table = flags & 0x80
    return 3 << ((flags & 7) + 1) if has_table else 0


def _skip_sub_blocks(stream: BinaryIO) -> bool:
    """Skip blocks of up to 255 bytes, which an empty one ends; False at the end of the file."""
    while True:
        length = stream.read(1)
        if not length:
            return False
        if length[0] == 0:
            return True
        stream.seek(length[0], os.SEEK_CUR)
