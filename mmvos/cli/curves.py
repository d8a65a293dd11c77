"""Draws the curves of a training:

    mmvos curves work_dirs/RUN/DATE/vis_data/scalars.json --keys loss mask_overlap --out curves.png
    mmvos curves FIRST.json SECOND.json --scores held.json --keys loss_mask J_mean --out curves.png

Logs are those that mmengine writes: one line of JSON for each record, with its iteration as "step".
Those of a training that went on in another run follow one another. --scores is a file of the same
kind, whose values are drawn as points; its iterations count through all runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmvos.io.errors import DataError

Points = list[tuple[float, float]]

# inches of one diagram
_WIDTH = 4.0
_HEIGHT = 2.6


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Draws the curves of a training.')
    add = parser.add_argument
    add('logs', nargs='+', type=Path, help='scalars.json, in order')
    add('--keys', nargs='+', default=['loss'], help='a diagram for each of them')
    add('--scores', type=Path, help='scores of checkpoints, drawn as points')
    add('--out', required=True, type=Path, help='the PNG to write')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the curves and say where they are.

    Args:
        argv: the command line.

    Raises:
        DataError: a file is missing or is no such log, or none has a key.
    """
    arguments = parse_arguments(argv)
    keys = arguments.keys
    logs = [read_log(path) for path in arguments.logs]
    curves = join_logs(logs, keys)
    points: dict[str, Points] = {key: [] for key in keys}
    if arguments.scores is not None:
        scores = read_log(arguments.scores)
        points = join_logs([scores], keys)

    # A key that no log has is a typing error.
    for key in keys:
        if not curves[key] and not points[key]:
            names = ', '.join(map(str, arguments.logs))
            raise DataError(f'No log has the key {key}: {names}')
    draw(curves, points, arguments.out)
    print(f'{len(keys)} diagrams -> {arguments.out}')


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the records of a log.

    Raises:
        DataError: it is missing, or a line is no record with an iteration; the message names it.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path} cannot be read: {error}') from error

    # A damaged line is said, as a curve without it would be wrong.
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            float(record['step'])
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f'{path}, line {number}: no record with a "step"') from error
        records.append(record)
    return records


def join_logs(logs: Sequence[list[dict[str, Any]]], keys: Sequence[str]) -> dict[str, Points]:
    """Join the logs of a training that was continued.

    Args:
        logs: the records of each; each log begins where the one before ends.
        keys: of the curves.

    Returns:
        The curve of each key through all logs, (iteration, value).
    """
    curves: dict[str, Points] = {key: [] for key in keys}
    start = 0.0
    for log in logs:
        for record in log:
            iteration = start + record['step']
            for key in keys:
                value = record.get(key)
                if isinstance(value, int | float):
                    curves[key].append((iteration, float(value)))
        # The next log begins where this one ends.
        steps = [float(record['step']) for record in log]
        start += max(steps, default=0.0)
    return curves


def draw(curves: dict[str, Points], points: dict[str, Points], out: Path) -> None:
    """Write one diagram for each key, side by side.

    Args:
        curves: of each key, (iteration, value).
        points: of the same keys, scores of checkpoints.
        out: the PNG.
    """
    from io import BytesIO

    from matplotlib.figure import Figure

    from mmvos.io.atomic import write_bytes

    figure = Figure(figsize=(_WIDTH * len(curves), _HEIGHT), layout='constrained')
    for number, (key, curve) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(1, len(curves), number)
        # Of training a line, of scores of checkpoints points.
        if curve:
            axes.plot(*zip(*curve, strict=True), linewidth=1)
        if points[key]:
            axes.plot(*zip(*points[key], strict=True), 'o-', markersize=4)
        axes.set_title(key, fontsize=9)
        axes.set_xlabel('iteration', fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)

    # The file is written whole, or not at all.
    content = BytesIO()
    figure.savefig(content, format='png', dpi=80)
    write_bytes(out, content.getvalue())
