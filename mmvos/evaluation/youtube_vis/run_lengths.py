"""Measure compressed COCO run lengths without decoding them to pixels.

A compressed RLE is a string of numbers, each in groups of 5 bits (character code 48..111; bit 5: another
group follows;
bit 4 of the last group: the sign), and from the fourth number on the difference to the number two places
earlier. The numbers are the lengths of alternating runs of background and object down the columns.
pycocotools reads a malformed string past its end, so every string of a file is measured here, many at a time
in numpy, before it goes there.
Letters: S strings, B bytes of all strings together, N numbers of all strings together.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GROUP_LIMIT = 7  # 35 bits: more than a run of a 65535 x 65535 image needs


class RunLengthError(ValueError):
    """A string that is no compressed RLE; `index` is its place in the sequence that was given."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


@dataclass(frozen=True)
class RunLengthSizes:
    """Per string: `pixels` (S,) int64 of all runs, `area` (S,) int64 of the object runs, `canonical` (S,)
    bool.

    Canonical means that no run but the first is empty; pycocotools finds wrong boxes for other strings.
    """

    pixels: NDArray[np.int64]
    area: NDArray[np.int64]
    canonical: NDArray[np.bool_]


def measure_run_lengths(strings: Sequence[bytes]) -> RunLengthSizes:
    """Sizes of compressed COCO RLE strings.

    Args:
        strings: S byte strings, the `counts` of compressed RLEs.
    Raises:
        RunLengthError: at the first string that holds a foreign character, ends inside a number, or has a
            negative run.
    """
    lengths = np.fromiter((len(string) for string in strings), np.int64, len(strings))  # (S,)
    ends = np.cumsum(lengths)  # (S,)
    code = np.frombuffer(b''.join(strings), np.uint8)  # (B,)
    foreign = np.flatnonzero((code < 48) | (code > 111))
    if foreign.size:
        raise RunLengthError(int(np.searchsorted(ends, foreign[0], 'right')),
                             'holds a character that is no run length')
    code = code - np.uint8(48)
    last = code[ends[lengths > 0] - 1]
    if (last & 32).any():
        broken = np.flatnonzero(lengths > 0)[np.flatnonzero(last & 32)[0]]
        raise RunLengthError(int(broken), 'ends in the middle of a run length')
    runs, offsets = _runs(code, ends)  # (N,), (S+1,)
    negative = np.flatnonzero(runs < 0)
    if negative.size:
        raise RunLengthError(
            int(np.searchsorted(offsets, negative[0], 'right')) - 1, 'has a negative run length')
    place = np.arange(len(runs)) - np.repeat(offsets[:-1], np.diff(offsets))  # (N,)
    hollow = _sum_per_string((runs == 0) & (place > 0), offsets)
    return RunLengthSizes(pixels=_sum_per_string(runs, offsets),
                          area=_sum_per_string(np.where(place & 1, runs, 0), offsets),
                          canonical=hollow == 0)


def _runs(code: NDArray[np.uint8], ends: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Run lengths (N,) of all strings and the offsets (S+1,) where each string's begin."""
    number_end = np.flatnonzero((code & 32) == 0)  # (N,)
    number_start = np.concatenate([[0], number_end[:-1] + 1]) if len(number_end) else number_end
    groups = number_end - number_start + 1
    if len(groups) and groups.max() > _GROUP_LIMIT:
        place = number_end[np.flatnonzero(groups > _GROUP_LIMIT)[0]]
        raise RunLengthError(int(np.searchsorted(ends, place, 'right')), 'has a run length beyond any image')
    numbers = (code[number_start] & 31).astype(np.int64)
    for group in range(1, int(groups.max(initial=0))):
        longer = np.flatnonzero(groups > group)
        numbers[longer] |= (code[number_start[longer] + group] & 31).astype(np.int64) << (5 * group)
    signed = np.flatnonzero(code[number_end] & 16)
    numbers[signed] -= np.int64(1) << (5 * groups[signed])
    offsets = np.concatenate([[0], np.searchsorted(number_end, ends, 'left')])  # (S+1,)
    place = np.arange(len(numbers)) - np.repeat(offsets[:-1], np.diff(offsets))
    odd, even = (place & 1) == 1, ((place & 1) == 0) & (place >= 2)
    runs = np.where(odd, _running_sum(np.where(odd, numbers, 0), offsets), numbers)
    return np.where(even, _running_sum(np.where(even, numbers, 0), offsets), runs), offsets


def _running_sum(numbers: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cumulative sum (N,) that starts afresh at every string."""
    total = np.concatenate([[0], np.cumsum(numbers)])
    return total[1:] - np.repeat(total[offsets[:-1]], np.diff(offsets))


def _sum_per_string(numbers: NDArray[np.int64] | NDArray[np.bool_],
                    offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum (S,) of each string's numbers; 0 for an empty string."""
    total = np.concatenate([[0], np.cumsum(numbers, dtype=np.int64)])
    return total[offsets[1:]] - total[offsets[:-1]]
