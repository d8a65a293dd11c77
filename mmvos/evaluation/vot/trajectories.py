"""Tracks on disk in the format of the VOT challenge: a line per frame, a region or one number that
says what happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmvos.io.text import read_text

from ..input_error import EvaluationInputError
from .regions import FARTHEST, Polygon, as_polygon

SKIPPED, INITIALIZED, FAILED, TRACKED = 0, 1, 2, 3
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
    codes = np.array([line if isinstance(line, int) else TRACKED for line in lines], np.int64)
    polygons = np.array(
        [
            np.full(8, np.nan) if isinstance(line, int) else as_polygon(np.asarray(line, float))
            for line in lines
        ]
    )
    return Trajectory(codes, polygons)


def read_regions(path: Path) -> NDArray[np.float64]:
    """Polygons (N, 8) of a groundtruth.txt.

    Raises:
        EvaluationInputError: a line is no region.
    """
    lines = [_parse(text, path, number) for number, text in enumerate(_lines(path), 1)]
    for number, line in enumerate(lines, 1):
        if isinstance(line, int):
            raise EvaluationInputError(
                f'{path}, line {number}: one number is no region; write 4 or 8 numbers.'
            )
    return np.array([as_polygon(np.asarray(line)) for line in lines])


def read_trajectory(path: Path, length: int) -> Trajectory:
    """Read one repetition of a supervised run, e.g. SEQUENCE_001.txt.

    Args:
        length: number of frames of the sequence.
    Raises:
        EvaluationInputError: a line is wrong, lines are missing, or the tracker was not restarted
            after a failure.
    """
    lines = [_parse(text, path, number) for number, text in enumerate(_lines(path), 1)]
    if len(lines) != length:
        raise EvaluationInputError(
            f'{path} has {len(lines)} lines but the sequence has {length} frames; write a line per '
            f'frame.'
        )
    lost = True
    for number, line in enumerate(lines, 1):
        code = line if isinstance(line, int) else TRACKED
        if number == 1 and code != INITIALIZED:
            raise EvaluationInputError(
                f'{path}, line 1 must be 1 (start of the tracker), as in a supervised run of VOT.'
            )
        if (lost and code in (FAILED, TRACKED)) or (not lost and code == SKIPPED):
            state = 'before a restart (1)' if lost else 'without a failure (2) before it'
            raise EvaluationInputError(
                f'{path}, line {number}: {"a region" if code == TRACKED else code} {state}; write '
                f'the '
                'output of a supervised run.'
            )
        lost = code == FAILED or (lost and code == SKIPPED)
    return trajectory(lines)


def format_lines(lines: Sequence[Line]) -> str:
    """The text of a result file: codes as they are, regions with four decimals."""
    return ''.join(
        f'{line}\n' if isinstance(line, int) else ','.join(f'{value:.4f}' for value in line) + '\n'
        for line in lines
    )


def _lines(path: Path) -> list[str]:
    lines = read_text(path).split('\n')
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise EvaluationInputError(f'{path} is empty; write one region per line.')
    return lines


def _parse(text: str, path: Path, number: int) -> Line:
    """One line: an int code, or 4 or 8 numbers."""
    where = f'{path}, line {number}'
    try:
        values = np.array([float(part) for part in text.replace('\t', ',').split(',')])
    except ValueError:
        raise EvaluationInputError(
            f'{where}: {text[:40]!r} is no region; write 4 or 8 numbers with commas.'
        ) from None
    if len(values) == 1 and values[0] in (SKIPPED, INITIALIZED, FAILED):
        return int(values[0])
    if len(values) not in (4, 8):
        raise EvaluationInputError(
            f'{where} has {len(values)} numbers; a region has 4 (x, y, width, height) or 8 '
            f'(corners).'
        )
    if not (np.abs(values) <= FARTHEST).all():
        raise EvaluationInputError(
            f'{where} has a coordinate that is no number or far outside the image; write pixels.'
        )
    if len(values) == 4 and (values[2:] <= 0).any():
        raise EvaluationInputError(
            f'{where} has a width or height that is not positive; write x, y, width, height.'
        )
    return values
