"""Reads annotation files whose uncompressed run lengths are nearly all of them.

The run lengths go from text to arrays without becoming Python numbers, which would take several
times as long and ten times the memory.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .json_file import parse_json
from .text import read_bytes

_COUNTS = re.compile(rb'("counts"\s*:\s*)\[([0-9,\s]*)\]')
_TWO_NUMBERS = re.compile(rb'[0-9]\s+[0-9]')
_LARGEST_INT32 = 2**31 - 1


def read_json_with_arrays(path: str | Path) -> Any:
    """Read a JSON file as `read_json` does, but 'counts' that are lists of numbers become arrays.

    Returns:
        What the file holds; uncompressed run lengths are (R,) int32, or int64 where one needs it.

    Raises:
        DataError: the file cannot be read or is no usable JSON.
    """
    return parse_with_arrays(read_bytes(path), path)


def parse_with_arrays(text: bytes, source: str | Path) -> Any:
    """Parse the bytes of an annotation file; see `read_json_with_arrays`.

    Each list of run lengths is replaced by a short text before the parser sees it, and put back
    when the parser hands over the object that holds it.
    """
    runs: list[bytes] = []
    # A text that no file contains, so that nothing in a file can be taken for a mark of ours.
    mark = secrets.token_hex(12)

    def take_out(found: re.Match[bytes]) -> bytes:
        runs.append(found[2])
        return b'%s"%s%d"' % (found[1], mark.encode(), len(runs) - 1)

    def put_back(item: dict[str, Any]) -> dict[str, Any]:
        counts = item.get('counts')
        if isinstance(counts, str) and counts.startswith(mark):
            place = int(counts[len(mark) :])
            item['counts'] = _parse_run_lengths(runs[place])
            runs[place] = b''
        return item

    shortened = _COUNTS.sub(take_out, text)
    try:
        return parse_json(shortened, source, put_back)
    except DataError:
        # Lines and columns of the message must be those of the file.
        parse_json(text, source)
        raise


def _parse_run_lengths(text: bytes) -> NDArray[Any]:
    """Numbers parted by commas as int32, or int64 where one needs it.

    Raises:
        DataError: it is no list of numbers as JSON has it.
    """
    if not text.strip():
        return np.zeros(0, np.int32)
    runs = np.fromstring(text, dtype=np.int64, sep=',')
    # fromstring stops without an error where a number or a comma is missing.
    is_complete = len(runs) == text.count(b',') + 1
    if not is_complete or _TWO_NUMBERS.search(text):
        raise DataError('the run lengths are no list of numbers')
    if runs.max() > _LARGEST_INT32:
        return runs
    return runs.astype(np.int32)
