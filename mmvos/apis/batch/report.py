"""The table of a run on many videos: what came of each, on the screen, as CSV and as JSON."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmvos.io.atomic import open_atomic, write_json

from .outcome import Outcome

TABLE_CSV = 'videos.csv'
TABLE_JSON = 'videos.json'
_MOST_ROWS = 40  # that are printed; a longer table stands in the files
_LONGEST_FAULT = 100  # characters that are printed


def write_tables(out: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the table as CSV and as JSON.

    Args:
        out: the folder.
        outcomes: at least one.

    Raises:
        OutputError: a file cannot be written.
    """
    rows = [outcome.row() for outcome in outcomes]
    with open_atomic(out / TABLE_CSV, 'w', newline='') as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_json(out / TABLE_JSON, {'totals': totals(outcomes), 'videos': rows}, indent=1)


def totals(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Add up what is known of the videos."""
    return {
        'videos': len(outcomes),
        'faults': sum(1 for outcome in outcomes if outcome.fault),
        'frames': sum(outcome.frames for outcome in outcomes),
        'seconds': round(sum(outcome.seconds or 0.0 for outcome in outcomes), 3),
    }


def lines_of_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of the table; of a long one those with faults, and the sums."""
    shown = list(outcomes)
    if len(shown) > _MOST_ROWS:
        shown = [outcome for outcome in outcomes if outcome.fault][:_MOST_ROWS]
    width = max([len(outcome.video) for outcome in shown] + [len('video')])
    yield f'{"video":<{width}}  {"frames":>7}  {"objects":>7}  {"seconds":>9}  fault'
    for outcome in shown:
        seconds = '' if outcome.seconds is None else f'{outcome.seconds:.1f}'
        fault = outcome.fault
        if len(fault) > _LONGEST_FAULT:
            fault = fault[: _LONGEST_FAULT - 3] + '...'
        yield (
            f'{outcome.video:<{width}}  {outcome.frames:>7}  {outcome.objects:>7}  {seconds:>9}  '
            f'{fault}'
        ).rstrip()
    sums = totals(outcomes)
    yield (
        f'{sums["videos"]} videos, {sums["frames"]} frames, {sums["seconds"]:.1f} s of work, '
        f'{sums["faults"]} with faults'
    )
