"""Reading text files that people write and edit: lists of sequences, prompts, classes, annotations.

Editors on Windows put a byte order mark in front, spreadsheets save UTF-16; both are read. Whatever
else cannot be decoded is refused with the line at which it begins, never read as other letters.
"""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

from .errors import DataError

# Annotation files of the largest public sets have less than 2 GiB.
MAX_TEXT_BYTES = 4 << 30
_PIECE = 1 << 20  # bytes of a pipe that are read at once

# UTF-32 comes first: its little-endian mark begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)


def read_text(path: str | Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Read a text file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Args:
        path: the file.
        max_bytes: a larger file is refused before it is read to the end.

    Returns:
        The text without its byte order mark; all line ends are '\\n'.

    Raises:
        DataError: the file cannot be read, is larger than `max_bytes` or is no text.
    """
    text = decode_text(read_bytes(path, max_bytes), path)
    return text.replace('\r\n', '\n').replace('\r', '\n')


def read_list(path: str | Path) -> list[str]:
    """Read a file of one name per line, such as ImageSets/2017/val.txt.

    Returns:
        The lines without surrounding white space; empty ones are left out.

    Raises:
        DataError: see `read_text`.
    """
    lines = read_text(path, max_bytes=1 << 26).split('\n')
    return [line.strip() for line in lines if line.strip()]


def read_bytes(path: str | Path, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Read a whole file that is at most `max_bytes` long.

    Raises:
        DataError: the file cannot be read or is larger.
    """
    try:
        with open(path, 'rb') as stream:
            # Python takes memory for all bytes that are asked for, so no more are than there are.
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(min(size, max_bytes) + 1)
            # A pipe does not say its size.
            while data and len(data) > size and len(data) <= max_bytes:
                more = stream.read(min(_PIECE, max_bytes + 1 - len(data)))
                if not more:
                    break
                data += more
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f'{path} cannot be read: {reason}; check the path.') from None
    except ValueError:
        # Python refuses a null byte in a path before it asks the system.
        raise DataError(f'{str(path)!r} cannot be read: it is no name of a file.') from None
    except MemoryError:
        raise DataError(f'{path} cannot be read: it is larger than the free memory.') from None
    if len(data) > max_bytes:
        raise DataError(
            f'{path} is larger than {_size_in_words(max_bytes)}, which no such file is; '
            f'check that it is the right one.'
        )
    return data


def decode_text(data: bytes, source: str | Path) -> str:
    """Decode the bytes of a text file; a byte order mark says how, without one it is UTF-8.

    Args:
        data: the whole file.
        source: its name, for messages.

    Raises:
        DataError: the bytes are no text; the message names the line.
    """
    encoding = 'utf-8'
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            encoding = name
            break
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        word = 'UTF-8' if encoding.startswith('utf-8') else encoding.upper()
        raise DataError(
            f'{source}, line {line}: the byte 0x{data[error.start]:02x} is no text in {word}; '
            f'save the file as UTF-8.'
        ) from None


def _size_in_words(size: int) -> str:
    """A number of bytes as a person would say it."""
    for unit, factor in (('GiB', 1 << 30), ('MiB', 1 << 20), ('KiB', 1 << 10)):
        if size >= factor:
            return f'{size / factor:g} {unit}'
    return f'{size} bytes'


def parse_size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT, at least 32x32.

    Raises:
        DataError: it is no such size.
    """
    found = re.fullmatch(r'([0-9]{1,5})x([0-9]{1,5})', text.lower())
    if found is None:
        raise DataError(f'{text!r} is no WIDTHxHEIGHT such as 640x360')
    width = int(found[1])
    height = int(found[2])
    if width < 32 or height < 32:
        raise DataError(f'{text} is too small, the least is 32x32')
    return width, height
