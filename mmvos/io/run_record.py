"""Which run made which results: a small file beside them, and results of other runs set aside.

A run writes its record before its first result, with ``finished`` false, and again at its end. So
results that are unfinished, mixed or of another model are known as such when they are scored. What
an earlier run with another fingerprint left is renamed, never deleted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .atomic import output_errors, write_json
from .errors import DataError

SUFFIX = '.run.json'  # of the record of OUT.json, OUT.zip and OUT
IN_FOLDER = 'run.json'  # the record inside a folder of one video's results
_LONGEST = 100_000_000  # bytes of a record that are read


@dataclass(frozen=True)
class RunRecord:
    """What is known about a run.

    Attributes:
        fingerprint: equal only where model, weights, data and settings are equal.
        finished: whether all results are there.
        made_by: for people and for comparisons: names and digests of config, weights and data.
        videos: length in frames of each video, by id or name; empty where it is not known.
        frames: results of how many frames there are, where a run of one video was stopped.
        started: local time.
    """

    fingerprint: str
    finished: bool
    made_by: Mapping[str, str] = field(default_factory=dict)
    videos: Mapping[str, int] = field(default_factory=dict)
    frames: int | None = None
    started: str = field(default_factory=lambda: time.strftime('%Y-%m-%d %H:%M:%S'))

    def __str__(self) -> str:
        parts = [f'{name} {value}' for name, value in self.made_by.items() if value]
        return f'{", ".join(parts) or "an unknown run"} (started {self.started})'


def record_path(out: str | Path) -> Path:
    """Name the record of the results OUT.json, OUT.zip or OUT."""
    out = Path(out)
    return out.with_name(out.name + SUFFIX)


def write_record(path: Path, record: RunRecord) -> None:
    """Write a record in one piece.

    Raises:
        OutputError: it cannot be written.
    """
    write_json(path, asdict(record), indent=1)


def read_record(path: Path) -> RunRecord | None:
    """Read a record; None where there is none, or no readable one."""
    try:
        with open(path, 'rb') as stream:
            content = json.loads(stream.read(_LONGEST))
        frames = content.get('frames')
        if frames is not None:
            frames = int(frames)
        made_by = dict(content.get('made_by', {}))
        videos = dict(content.get('videos', {}))
        return RunRecord(
            str(content['fingerprint']),
            bool(content['finished']),
            {str(key): str(value) for key, value in made_by.items()},
            {str(key): int(value) for key, value in videos.items()},
            frames,
            str(content.get('started', '')),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def record_of_results(results: str | Path) -> RunRecord | None:
    """Find the record that belongs to results: OUT.json, OUT.zip, the folder OUT, or a file or
    folder in the folder of one video's results.
    """
    path = Path(results)
    places = [record_path(path)]
    if path.suffix in ('.json', '.zip'):
        places.append(record_path(path.with_suffix('')))
    places += [path / IN_FOLDER, path.parent / IN_FOLDER]
    for place in places:
        record = read_record(place)
        if record is not None:
            return record
    return None


def check_finished(results: str | Path) -> RunRecord | None:
    """Refuse results of a run that has not finished.

    Args:
        results: see `record_of_results`.

    Returns:
        The record; None where the results have none, as those of other programs.

    Raises:
        DataError: the run is unfinished.
    """
    record = record_of_results(results)
    if record is not None and not record.finished:
        found = f' (there are results of {record.frames} frames)' if record.frames else ''
        raise DataError(
            f'{results} is unfinished{found}: the run of {record} was stopped; start the same '
            'command again, it goes on where it stopped'
        )
    return record


def set_aside(paths: Sequence[Path], record: Path) -> list[Path]:
    """Rename results of an earlier run: OUT.json becomes OUT.earlier1.json, OUT OUT.earlier1, ...

    The record moves last: where this is interrupted, the next run goes on with it.

    Args:
        paths: what there may be: names that begin with that of ``record`` without its suffix.
        record: the record's path.

    Returns:
        The new paths of those that were there.

    Raises:
        OutputError: one cannot be renamed.
    """
    there = [path for path in (*paths, record) if os.path.lexists(path)]
    stem = record.name.removesuffix(SUFFIX)
    number = 1
    # A record's number is free of a record; without one the number is free of everything.
    while _is_taken(record, stem, number, only_record=record in there):
        number += 1
    moved = []
    for path in there:
        target = path.with_name(f'{stem}.earlier{number}{path.name.removeprefix(stem)}')
        with output_errors(target):
            path.rename(target)
        moved.append(target)
    return moved


def _is_taken(record: Path, stem: str, number: int, only_record: bool) -> bool:
    """Whether a name for what is set aside is in use."""
    name = f'{stem}.earlier{number}'
    if only_record:
        return os.path.lexists(record.with_name(name + SUFFIX))
    names = [path.name for path in _beside(record)]
    return name in names or any(other.startswith(f'{name}.') for other in names)


def _beside(path: Path) -> list[Path]:
    return list(path.parent.iterdir()) if path.parent.is_dir() else []


def differences(record: RunRecord, made_by: Mapping[str, Any]) -> list[str]:
    """Name what of a run is other than expected, e.g. ['weights'].

    Args:
        record: of the run.
        made_by: as in `RunRecord`; entries that one of the two lacks are not compared.
    """
    shared = [key for key in made_by if key in record.made_by]
    return [key for key in shared if str(made_by[key]) != record.made_by[key]]
