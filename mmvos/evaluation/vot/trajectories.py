"""Tracks on disk in the format of the VOT challenge: a line per frame, a region or one number that
says what happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.io.text import read_text

from .regions import FARTHEST, Polygon, as_polygon

# The first three stand in files; a region stands for the last.
SKIPPED = 0
INITIALIZED = 1
FAILED = 2
TRACKED = 3
Line = int | Polygon


@dataclass(frozen=True)
class Trajectory:
    """A tracker's output for one sequence.

    Attributes:
        codes: (N,) int, per frame SKIPPED, INITIALIZED, FAILED or TRACKED.
        polygons: (N, 8) pixels; NaN where not TRACKED.
    """

    codes: NDArray[np.int64]
    polygons: NDArray[np.float64]


def trajectory(lines: Sequence[Line]) -> Trajectory:
    """Bring a supervised run's lines (0, 1, 2, or a region of 4 or 8 numbers) into arrays."""
    codes = []
    polygons: list[NDArray[np.float64]] = []
    for line in lines:
        if isinstance(line, int):
            codes.append(line)
            polygons.append(np.full(8, np.nan))
        else:
            codes.append(TRACKED)
            polygons.append(as_polygon(np.asarray(line, float)))
    return Trajectory(np.array(codes, np.int64), np.array(polygons))


def read_regions(path: Path) -> NDArray[np.float64]:
    """Read the polygons (N, 8) of a groundtruth.txt.

    Raises:
        DataError: a line is no region.
    """
    lines = []
    for number, text in enumerate(_lines(path), 1):
        lines.append(_parse(text, path, number))
    polygons = []
    for number, line in enumerate(lines, 1):
        if isinstance(line, int):
            raise DataError(
                f'{path}, line {number}: one number is no region; write 4 or 8 numbers.'
            )
        polygons.append(as_polygon(np.asarray(line)))
    return np.array(polygons)


def read_trajectory(path: Path, length: int) -> Trajectory:
    """Read one repetition of a supervised run, e.g. SEQUENCE_001.txt.

    Args:
        length: number of frames of the sequence.
    Raises:
        DataError: a line is wrong, lines are missing, or the tracker was not restarted
            after a failure.
    """
    lines = [_parse(text, path, number) for number, text in enumerate(_lines(path), 1)]
    if len(lines) != length:
        raise DataError(
            f'{path} has {len(lines)} lines but the sequence has {length} frames; write a line per '
            f'frame.'
        )
    _check_order(lines, path)
    return trajectory(lines)


def _check_order(lines: Sequence[Line], path: Path) -> None:
    """Refuse lines that no supervised run writes: 1 begins, after a failure (2) come skipped frames
    (0) until the next 1, and regions stand nowhere else.
    """
    # Whether the object is lost, as before the first start.
    lost = True
    for number, line in enumerate(lines, 1):
        code = line if isinstance(line, int) else TRACKED
        if number == 1 and code != INITIALIZED:
            raise DataError(
                f'{path}, line 1 must be 1 (start of the tracker), as in a supervised run of VOT.'
            )
        shown = 'a region' if code == TRACKED else str(code)
        if lost and code in (FAILED, TRACKED):
            raise DataError(
                f'{path}, line {number}: {shown} before a restart (1); write the output of a '
                'supervised run.'
            )
        if not lost and code == SKIPPED:
            raise DataError(
                f'{path}, line {number}: {shown} without a failure (2) before it; write the output '
                'of a supervised run.'
            )
        if code != SKIPPED:
            lost = code == FAILED


def format_lines(lines: Sequence[Line]) -> str:
    """The text of a result file: codes as they are, regions with four decimals."""
    texts = []
    for line in lines:
        if isinstance(line, int):
            texts.append(str(line))
        else:
            texts.append(','.join(f'{value:.4f}' for value in line))
    return ''.join(f'{text}\n' for text in texts)


def _lines(path: Path) -> list[str]:
    """The lines of a file without empty ones at its end."""
    lines = read_text(path).split('\n')
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f'{path} is empty; write one region per line.')
    return lines


def _parse(text: str, path: Path, number: int) -> Line:
    """One line: an int code, or 4 or 8 numbers."""
    where = f'{path}, line {number}'
    try:
        values = np.array([float(part) for part in text.replace('\t', ',').split(',')])
    except ValueError:
        raise DataError(
            f'{where}: {text[:40]!r} is no region; write 4 or 8 numbers with commas.'
        ) from None

    # A code, or a region.
    if len(values) == 1 and values[0] in (SKIPPED, INITIALIZED, FAILED):
        return int(values[0])
    if len(values) not in (4, 8):
        raise DataError(
            f'{where} has {len(values)} numbers; a region has 4 (x, y, width, height) or 8 '
            f'(corners).'
        )
    if not (np.abs(values) <= FARTHEST).all():
        raise DataError(
            f'{where} has a coordinate that is no number or far outside the image; write pixels.'
        )
    if len(values) == 4 and (values[2:] <= 0).any():
        raise DataError(
            f'{where} has a width or height that is not positive; write x, y, width, height.'
        )
    return values
