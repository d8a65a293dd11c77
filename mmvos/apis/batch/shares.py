"""Processes that divide videos among them and know nothing of one another but the folder of the
results: started by torchrun, by SLURM, or on this machine.

Process r of n takes every n-th video, then helps the others. A video belongs to whoever holds the
lock of its folder; the operating system frees that lock when a process ends, however it ends, and
another process goes on with the video. So no process waits for another before the end, and none is
needed for the results.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mmvos.io.atomic import OutputError, make_folder, output_errors, write_json
from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.io.output_lock import OutputLock

from .launchers import Share
from .outcome import Outcome
from .videos import Video
from .worker import VideoWorker

BATCH_RECORD = 'batch.json'
_LOCK = '.mmvos.lock'
_PAUSE = 1.0  # seconds between two looks at what others do
_PATIENCE = 300.0  # seconds in which the first process must have begun


def work_through(
    worker: VideoWorker,
    videos: Sequence[Video],
    share: Share,
    report: Callable[[Outcome], object],
) -> list[Outcome]:
    """Segment this process's videos, then those that nobody else works on, until all are done.

    Args:
        worker: segments them.
        videos: of all processes.
        share: which process this is.
        report: is told of each outcome as it comes.

    Returns:
        The outcomes of all videos in their order, whoever segmented them.
    """
    # 1. Its own, then those of the next process, and so on.
    order: list[int] = []
    for step in range(share.world):
        order += range((share.rank + step) % share.world, len(videos), share.world)

    # 2. What another process holds is looked at again, as that process may end without a word.
    outcomes: dict[int, Outcome] = {}
    while order:
        held = []
        for number in order:
            outcome = worker.segment(videos[number])
            if outcome is None:
                held.append(number)
            else:
                outcomes[number] = outcome
                report(outcome)
        order = held
        if order:
            time.sleep(_PAUSE)
    return [outcomes[number] for number in range(len(videos))]


@contextmanager
def batch_of(out: Path, settings: dict[str, str], is_first: bool) -> Iterator[int]:
    """Enter a run on many videos: one command writes a folder at a time.

    The first process holds the folder's lock and writes what the run is; the others wait for that.

    Args:
        out: folder of the folders of results.
        settings: what tells the run from others; equal in all of its processes.
        is_first: whether this is the first process.

    Yields:
        The moment at which this process began, by the clock of the file system, in nanoseconds.

    Raises:
        LockedError: another command writes there.
        OutputError: it cannot be written, or the first process has not begun.
    """
    make_folder(out)
    if is_first:
        with OutputLock(out / _LOCK, out):
            write_json(out / BATCH_RECORD, settings, indent=1)
            yield _now(out)
        return
    end = time.monotonic() + _PATIENCE
    while _read(out / BATCH_RECORD) != settings:
        if time.monotonic() > end:
            raise OutputError(
                f'{out} belongs to another command, or the first process of this one has not '
                f'begun; give another output, or see what that process says'
            )
        time.sleep(_PAUSE / 10)
    yield _now(out)


def _read(path: Path) -> object:
    with suppress(DataError):
        return read_json(path)
    return None


def _now(out: Path) -> int:
    """The time of a folder's file system, which is that of all processes' files in it."""
    mark = out / f'.mmvos.{os.getpid()}.now'
    with output_errors(mark):
        mark.touch()
        moment = mark.stat().st_mtime_ns
        mark.unlink()
    return moment
