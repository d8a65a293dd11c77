"""Check and measure compressed COCO run lengths without decoding them to pixels.

A compressed RLE is a string of numbers, each in groups of 5 bits (character code 48..111; bit 5:
another group follows; bit 4 of the last group: the sign), and from the fourth number on the
difference to the number two places earlier. The numbers are the lengths of alternating runs of
background and object down the columns. pycocotools reads a damaged string past its end, so no
string goes there before its characters were checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mmvos.io.errors import DataError

_HEAD = re.compile(
    # three numbers: groups that go on, and one that ends
    rb'([P-o]*[0-O])([P-o]*[0-O])([P-o]*[0-O])'
)


class RunLengthError(DataError):
    """A string that is no compressed RLE; `index` is its place in the sequence that was given."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def measure_run_lengths(strings: Sequence[bytes], height: int, width: int) -> NDArray[np.int64]:
    """Object areas (S,) in pixels of S compressed RLE strings of height x width images.

    Raises:
        RunLengthError: at a string that holds a foreign character, ends inside a number, or does
            not cover the image exactly with runs of background and object.
    """
    _check_characters(strings)
    size = [height, width]
    area = coco_mask.area([{'size': size, 'counts': string} for string in strings]).astype(np.int64)
    rest = coco_mask.area(
        [{'size': size, 'counts': complement(string)} for string in strings]
    ).astype(np.int64)
    wrong = np.flatnonzero((area + rest != height * width) | (area > height * width))
    if wrong.size:
        raise RunLengthError(
            int(wrong[0]), f'does not cover the {height} x {width} pixels of the frame'
        )
    return area


def complement(string: bytes) -> bytes:
    """The RLE of everything outside: an empty run comes first, and the third run becomes a
    difference to the first.
    """
    head = _HEAD.match(string)
    if head is None:
        return b'0' + string
    third = _format(_parse(head[3]) - _parse(head[1]))
    return b'0' + string[: head.start(3)] + third + string[head.end(3) :]


def _check_characters(strings: Sequence[bytes]) -> None:
    code = np.frombuffer(b''.join(strings), np.uint8)
    if len(code) and (code.min() < 48 or code.max() > 111):
        ends = np.cumsum([len(string) for string in strings])
        place = np.flatnonzero((code < 48) | (code > 111))[0]
        raise RunLengthError(
            int(np.searchsorted(ends, place, 'right')), 'holds a character that is no run length'
        )
    for index, string in enumerate(strings):
        if not string or (string[-1] - 48) & 32:
            raise RunLengthError(index, 'ends in the middle of a run length')


def _parse(text: bytes) -> int:
    number = 0
    for group in reversed(text):
        number = number << 5 | (group - 48) & 31
    return number - (1 << 5 * len(text)) if (text[-1] - 48) & 16 else number


def _format(number: int) -> bytes:
    groups = []
    while True:
        group, number = number & 31, number >> 5
        if number == (-1 if group & 16 else 0):
            groups.append(group + 48)
            return bytes(groups)
        groups.append((group | 32) + 48)
