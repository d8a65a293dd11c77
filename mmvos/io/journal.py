"""A journal: JSON lines of which each carries a digest, so that a line that was cut off by a kill
or changed by a failing disk is known as such.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .atomic import output_errors


@dataclass(frozen=True)
class Line:
    """Where a line stands in a journal, in bytes."""

    path: Path
    start: int
    length: int


def digest(content: bytes) -> str:
    """Return 16 characters that are others for other content."""
    return hashlib.sha256(content).hexdigest()[:16]


def seal(content: dict[str, Any]) -> bytes:
    """Return a line with its digest.

    Raises:
        ValueError: a number is not finite.
    """
    body = json.dumps(content, separators=(',', ':'), allow_nan=False).encode()
    return digest(body).encode() + b' ' + body + b'\n'


def is_whole(line: bytes) -> bool:
    """Whether a line is as it was written."""
    mark, space, body = line.rstrip(b'\n').partition(b' ')
    return bool(space) and line.endswith(b'\n') and mark == digest(body).encode()


def unseal(line: bytes) -> dict[str, Any]:
    """Return the content of a whole line."""
    content: dict[str, Any] = json.loads(line.partition(b' ')[2])
    return content


def append(stream: BinaryIO, content: dict[str, Any]) -> None:
    """Write a line to an unbuffered stream; a kill after this does not lose it."""
    line = seal(content)
    written = stream.write(line)
    if written != len(line):
        # The disk took a part; the next attempt says why it takes no more.
        stream.write(line[written:])


def cut_off_damage(path: Path) -> bool:
    """Cut a journal off before its first damaged line.

    Args:
        path: of the journal.

    Returns:
        Whether whole lines were lost; the half line that a kill leaves at the end is none.

    Raises:
        OutputError: the file cannot be written.
    """
    with output_errors(path), open(path, 'rb+') as stream:
        whole_lines = itertools.takewhile(is_whole, stream)
        size = sum(len(line) for line in whole_lines)
        stream.seek(size)
        rest = stream.read()
        stream.truncate(size)
    cut_off = rest.strip(b'\0\n')
    has_several_lines = b'\n' in cut_off
    is_whole_line = rest.endswith(b'\n') and bool(cut_off)
    return has_several_lines or is_whole_line


def lines_of(path: Path) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield place and content of each line of a journal whose lines are whole."""
    start = 0
    with open(path, 'rb') as stream:
        for line in stream:
            yield Line(path, start, len(line)), unseal(line)
            start += len(line)


def read_line(line: Line) -> dict[str, Any]:
    """Return the content of a line."""
    with open(line.path, 'rb') as stream:
        stream.seek(line.start)
        return unseal(stream.read(line.length))
