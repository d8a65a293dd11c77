"""What came of each video, in a small file beside its results."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmvos.io.atomic import write_json

OUTCOME = 'outcome.json'  # in the folder of a video's results
_FORMAT = 1
_LONGEST = 1_000_000  # bytes of an outcome that are read


@dataclass(frozen=True)
class Outcome:
    """What came of a video.

    Attributes:
        video: its name in the run.
        source: its path.
        frames: that there are results of.
        objects: that were seen in a frame at least.
        seconds: that the run took which finished it; None where that is not known.
        fault: why it is not finished, a sentence; '' where nothing is wrong.
        is_new: whether it came now, and not in an earlier run or in another process; is not kept.
    """

    video: str
    source: str
    frames: int = 0
    objects: int = 0
    seconds: float | None = None
    fault: str = ''
    is_new: bool = False

    def row(self) -> dict[str, Any]:
        """What is kept of it, by the names of columns."""
        content = asdict(self)
        del content['is_new']
        return content


@dataclass(frozen=True)
class OutcomeFile:
    """An outcome as it stands on the disk.

    Attributes:
        outcome: see `Outcome`.
        is_over: whether nobody works on the video.
        deaths: how many processes ended without a word while they worked on it, in one launch.
        changed: when the file was written, by the clock of its file system, in nanoseconds.
    """

    outcome: Outcome
    is_over: bool
    deaths: int
    changed: int


def write_outcome(folder: Path, outcome: Outcome, is_over: bool = True, deaths: int = 0) -> None:
    """Write the outcome of a video into the folder of its results.

    Raises:
        OutputError: it cannot be written.
    """
    content = {'format': _FORMAT, 'over': is_over, 'deaths': deaths, **outcome.row()}
    write_json(folder / OUTCOME, content, durable=is_over, indent=1)


def read_outcome(folder: Path) -> OutcomeFile | None:
    """Read the outcome of a video; None where there is none, or one of another version."""
    try:
        # The content and the time at which it was written, of one and the same file.
        with open(folder / OUTCOME, 'rb') as stream:
            content = json.loads(stream.read(_LONGEST))
            changed = os.fstat(stream.fileno()).st_mtime_ns
        if content['format'] != _FORMAT:
            return None
        # A video that is not over has no seconds yet.
        seconds = content['seconds']
        if seconds is not None:
            seconds = float(seconds)
        outcome = Outcome(
            str(content['video']),
            str(content['source']),
            int(content['frames']),
            int(content['objects']),
            seconds,
            str(content['fault']),
        )
        return OutcomeFile(outcome, bool(content['over']), int(content['deaths']), changed)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def touch_outcome(folder: Path) -> None:
    """Say that an outcome was looked at now and holds."""
    os.utime(folder / OUTCOME)
