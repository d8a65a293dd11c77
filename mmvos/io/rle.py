"""Checks masks of annotation and results files before compiled code sees them.

A mask is a list of polygons [x0, y0, x1, y1, ...] or COCO run lengths {'size': [H, W], 'counts':
...}: the lengths of alternating runs of background and object down the columns, as numbers or as a
compressed string. pycocotools trusts all of them: a malformed one reads or writes past its buffer
(signal 11), divides by a height of 0 (signal 8), or asks for memory without end. So counts, sizes
and totals are checked here, by arithmetic that cannot overflow, and only what is sound goes on.

A compressed string holds numbers in groups of 5 bits (character code 48..111; bit 5: another group
follows; bit 4 of the last group: the sign), and from the fourth number on the difference to the
number two places earlier.

Letters: H, W height and width in pixels; S strings, C characters, R runs.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from .errors import DataError

MAX_SIDE = 1 << 14  # pycocotools writes past its buffer for runs of 2**29 pixels
_MAX_GROUPS = 7  # of 5 bits; a difference of two runs of 2**28 pixels has 6
_REACH = 4  # how far outside of the frame a polygon may reach, in longer sides of the frame
# pycocotools takes about 80 bytes of memory for each pixel of an outline
_MAX_OUTLINE = 1 << 22


class MaskError(DataError):
    """A mask that is malformed or does not fit its frame."""


class RunLengthError(MaskError):
    """A string that is no compressed run lengths; `index` is its place in the given sequence."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def size_fault(height: Any, width: Any) -> str | None:
    """Say what is wrong with the size of a frame; None where nothing is."""
    sides = (height, width)
    if not all(_is_int(side) and side > 0 for side in sides):
        shown = [_short(side) for side in sides]
        return f'its height and width are {shown[0]} and {shown[1]}, they must be ints above 0'
    if max(sides) > MAX_SIDE:
        return (
            f'its height and width are {_short(height)} and {_short(width)}, they must be at most '
            f'{MAX_SIDE}'
        )
    return None


def mask_fault(mask: Any, height: int, width: int) -> str | None:
    """Say what is wrong with a mask of a frame; None where nothing is.

    Args:
        mask: anything that stands where a mask should.
        height, width: of the frame, without ``size_fault``.
    """
    if isinstance(mask, list):
        return _polygons_fault(mask, height, width)
    if not isinstance(mask, Mapping) or 'counts' not in mask or 'size' not in mask:
        return 'the mask is neither a list of polygons nor run lengths with size and counts'

    # Run lengths say their size, which must be the frame's.
    size = mask['size']
    if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(map(_is_int, size)):
        return f'the size of the mask is {_short(size)}, it must be [height, width]'
    if (size[0], size[1]) != (height, width):
        return (
            f'the mask has size {_short(list(size))} (height, width), but the video has '
            f'{[height, width]}'
        )

    # They add up to the frame's pixels.
    counts = mask['counts']
    try:
        if isinstance(counts, (str, bytes)):
            runs = _decode_strings([_as_bytes(counts)])[0]
        else:
            runs = _as_runs(counts)
    except MaskError:
        return 'the run lengths of the mask are malformed'
    if runs.size and (runs.min() < 0 or runs.max() > height * width):
        return f'the run lengths of the mask go beyond the {height * width} pixels of the frame'
    if runs.sum() != height * width:
        return (
            f'the run lengths of the mask add up to {int(runs.sum())} pixels, the frame has '
            f'{height * width}'
        )
    return None


def compress_mask(mask: Any, height: int, width: int, where: str) -> dict[str, Any]:
    """Check a mask and bring it to compressed run lengths.

    Args:
        mask: polygons, or run lengths of any form.
        height, width: of the frame.
        where: file and place of the mask; the message begins with it.

    Returns:
        ``{'size': [H, W], 'counts': bytes}``, as pycocotools takes it; polygons are filled and
        joined.

    Raises:
        MaskError: the mask or the size is malformed, or they do not fit.
    """
    fault = size_fault(height, width) or mask_fault(mask, height, width)
    if fault is not None:
        raise MaskError(f'{where}: {fault}.')
    height = int(height)
    width = int(width)
    size = [height, width]

    # Polygons are filled; no polygon is an empty mask.
    if isinstance(mask, list):
        if not mask:
            return {'size': size, 'counts': _all_background(height, width)}
        polygons = [[float(value) for value in polygon] for polygon in mask]
        parts = coco_mask.frPyObjects(polygons, height, width)
        return dict(coco_mask.merge(parts))

    # Run lengths, compressed already or as numbers.
    counts = mask['counts']
    if isinstance(counts, (str, bytes)):
        return {'size': size, 'counts': _as_bytes(counts)}
    runs = [int(run) for run in counts]
    compressed = coco_mask.frPyObjects({'size': size, 'counts': runs}, height, width)
    return dict(compressed)


def decode_mask(mask: Any, height: int, width: int, where: str) -> NDArray[np.uint8]:
    """Check a mask and decode it to (H, W) uint8 of 0 and 1; arguments and errors as for
    ``compress_mask``.
    """
    rle = compress_mask(mask, height, width, where)
    return np.ascontiguousarray(coco_mask.decode(rle), dtype=np.uint8)


def runs_of(counts: bytes) -> list[int]:
    """Return the run lengths of a compressed string as numbers, background first.

    Args:
        counts: of a mask that was checked.

    Raises:
        RunLengthError: the string is damaged.
    """
    runs: list[int] = _decode_strings([counts])[0].tolist()
    return runs


def areas_of(rles: Iterable[Any]) -> list[int]:
    """Return the areas of checked masks in pixels.

    Args:
        rles: as pycocotools takes them. It gets one at a time: with numpy 2, pycocotools 2.0.11
            cannot count more than 255 of them.
    """
    return [int(coco_mask.area(rle)) for rle in rles]


def measure_run_lengths(strings: Sequence[bytes], height: int, width: int) -> NDArray[np.int64]:
    """Measure compressed run lengths without decoding them to pixels.

    Args:
        strings: S compressed strings of masks of the same size.
        height, width: of the frames.

    Returns:
        (S,) areas of the objects in pixels.

    Raises:
        RunLengthError: at the first string that holds a foreign character, ends inside a number, or
            does not cover the frame exactly with runs of background and object.
    """
    areas = np.zeros(len(strings), np.int64)
    if not strings:
        return areas
    for index, runs in enumerate(_decode_strings(strings)):
        if runs.min() < 0 or runs.sum() != height * width:
            raise RunLengthError(
                index, f'does not cover the {height} x {width} pixels of the frame'
            )
        areas[index] = runs[1::2].sum()
    return areas


def _decode_strings(strings: Sequence[bytes]) -> list[NDArray[np.int64]]:
    """Decode S > 0 compressed strings to S arrays of runs, not checked against any frame.

    Raises:
        RunLengthError: a string is empty, holds a foreign character, ends inside a number, or holds
            a number that no frame needs.
    """
    # (C,) characters of all strings: all within '0'..'o', and the last of each ends a number.
    string_ends = np.cumsum([len(string) for string in strings])
    characters = np.frombuffer(b''.join(strings), np.uint8)
    groups = characters - np.uint8(48)
    if groups.size and groups.max() > 63:
        place = np.argmax(groups > 63)
        index = int(np.searchsorted(string_ends, place, 'right'))
        raise RunLengthError(index, 'holds a character that is no run length')
    for index, string in enumerate(strings):
        if not string or (string[-1] - 48) & 32:
            raise RunLengthError(index, 'ends in the middle of a run length')

    # (R,) numbers: a group of 5 bits per character, the lowest first; bit 4 of the last is a sign.
    ends = np.flatnonzero(groups < 32)
    lengths = np.diff(ends, prepend=-1)
    longest = int(lengths.max())
    if longest > _MAX_GROUPS:
        place = ends[np.argmax(lengths)]
        index = int(np.searchsorted(string_ends, place, 'right'))
        raise RunLengthError(index, 'holds a number that is too large')
    last = groups[ends].astype(np.int64)
    sign = (last & 16) << 1
    numbers = last - sign
    for group in range(1, longest):
        # The numbers that have so many groups before the last one.
        longer = np.flatnonzero(lengths > group)
        bits = groups[ends[longer] - group] & 31
        numbers[longer] = numbers[longer] << 5 | bits

    # Runs: from the fourth number on, each adds to the number two places earlier.
    first_numbers = np.searchsorted(ends, string_ends[:-1])
    decoded = np.split(numbers, first_numbers)
    for runs in decoded:
        for chain in (runs[1::2], runs[2::2]):
            np.cumsum(chain, out=chain)
    return decoded


def _as_runs(counts: Any) -> NDArray[np.int64]:
    """Uncompressed run lengths as (R,) int64.

    Raises:
        MaskError: they are no list of ints.
    """
    if not isinstance(counts, (list, tuple, np.ndarray)):
        raise MaskError('the run lengths are no list')
    try:
        numbers = np.asarray(counts)
    except (ValueError, OverflowError) as error:
        raise MaskError('the run lengths are no list of ints') from error
    is_integer = np.issubdtype(numbers.dtype, np.integer) or not numbers.size
    if numbers.ndim != 1 or not is_integer:
        raise MaskError('the run lengths are no list of ints')
    return numbers.astype(np.int64)


def _polygons_fault(polygons: list[Any], height: int, width: int) -> str | None:
    reach = _REACH * max(height, width)
    outline = 0.0
    for polygon in polygons:
        if not isinstance(polygon, list) or not all(map(_is_number, polygon)):
            return 'a polygon of the mask is not a list of finite numbers'
        if len(polygon) < 6 or len(polygon) % 2:
            return (
                f'a polygon of the mask has {len(polygon)} numbers, it needs an even number of at '
                f'least 6'
            )
        if not all(-reach <= value <= reach for value in polygon):
            return 'a polygon of the mask has a point far outside of the frame'
        points = np.array(polygon, dtype=np.float64).reshape(-1, 2)  # (P, 2)
        steps = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1)
        outline += float(steps.sum())
    if outline > _MAX_OUTLINE:
        return f'the polygons of the mask have an outline of more than {_MAX_OUTLINE} pixels'
    return None


def _is_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number; an int too large for a float is none."""
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300
    )


def _as_bytes(counts: str | bytes) -> bytes:
    """The characters of a string; those beyond ASCII become codes that are no run lengths."""
    return counts if isinstance(counts, bytes) else counts.encode('utf-8', 'surrogatepass')


def _all_background(height: int, width: int) -> bytes:
    rle = coco_mask.frPyObjects(
        {'size': [height, width], 'counts': [height * width]}, height, width
    )
    return bytes(rle['counts'])


def _short(value: Any) -> str:
    """A value in a message, cut where it is long or deep."""
    return reprlib.repr(value)
