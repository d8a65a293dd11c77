"""Makes the videos of a data set in parallel processes and puts the finished data set in place in
one move.

The files are made in `OUT.partial` and moved to OUT at the very end, so a data set that is there is
complete, and a run that was stopped leaves nothing in the way of the next. The result does not
depend on the number of processes: a job says all there is to know about its video, and records keep
the order of the jobs.
"""

import multiprocessing
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import cv2

from mmvos.datasets.youtube_vis_writer import VideoRecord, write_instances
from mmvos.io.progress_bar import shows_bars, with_bar


class VideoJob(Protocol):
    """What a job must at least say: its split (train, valid), the name of its folder under OUT."""

    @property
    def split(self) -> str:
        """train or valid."""


Job = TypeVar('Job', bound=VideoJob)


def check_target(out: Path, splits: Sequence[str], overwrite: bool) -> None:
    """Refuse a folder that has one of the splits already.

    Args:
        out: the folder.
        splits: that will be made.
        overwrite: they may be replaced.

    Raises:
        FileExistsError: one of them is there and may not be replaced.
    """
    taken = [split for split in splits if (out / split).exists()]
    if taken and not overwrite:
        raise FileExistsError(
            f'{out / taken[0]} is there already; remove it, choose another folder, or give '
            '--overwrite'
        )


def make_dataset(
    out: Path,
    jobs: Sequence[Job],
    make_video: Callable[[Path, Job], VideoRecord],
    categories: Sequence[str],
    description: str,
    processes: int,
) -> dict[str, list[VideoRecord]]:
    """Make all videos and the JSON file of each split; splits of OUT that are there are replaced.

    Args:
        out: folder to make.
        jobs: one per video, in the order of the JSON files.
        make_video: (root, job) -> record; writes the files of one video under root/split.
        categories: class names, ids from 1.
        description: for info.description.
        processes: number of worker processes; one works without a process of its own.

    Returns:
        The records of each split.
    """
    # Everything is made in a folder beside OUT, which replaces its splits in the end.
    out = out.resolve()
    root = out.with_name(out.name + '.partial')
    if root.exists():
        shutil.rmtree(root)

    made = _make_videos(partial(make_video, root), jobs, processes)
    shown = with_bar(made, 'making videos', len(jobs), unit=' videos')
    records: dict[str, list[VideoRecord]] = {job.split: [] for job in jobs}
    for index, (record, job) in enumerate(zip(shown, jobs)):
        records[job.split].append(record)
        _print_progress(index + 1, len(jobs))

    for split, part in records.items():
        path = root / split / 'instances.json'
        write_instances(path, part, categories, description)
    _move_splits(root, out, list(records))
    return records


def _make_videos(
    make_one: Callable[[Job], VideoRecord], jobs: Sequence[Job], processes: int
) -> Iterator[VideoRecord]:
    """Yield the records of the jobs, in their order."""
    if processes == 1:
        yield from map(make_one, jobs)
        return
    cv2.setNumThreads(0)  # the processes share the work, and a forked thread pool may hang

    # A worker that is interrupted ends without a traceback; the main process says what happened.
    ended = (signal.SIGINT, signal.SIG_DFL)
    with multiprocessing.get_context('fork').Pool(processes, signal.signal, ended) as pool:
        yield from pool.imap(make_one, jobs)


def summarize(out: Path, records: Mapping[str, Sequence[VideoRecord]]) -> None:
    """Print one line per split."""
    for split, part in records.items():
        print(
            f'{out / split}: {len(part)} videos, {sum(len(record.objects) for record in part)} '
            f'objects'
        )


def _move_splits(root: Path, out: Path, splits: Sequence[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for split in splits:
        if (out / split).exists():
            shutil.rmtree(out / split)
        (root / split).rename(out / split)
    root.rmdir()


def _print_progress(done: int, total: int) -> None:
    """Print a line for every tenth of the work, where no bar is shown (in a log file)."""
    if shows_bars():
        return
    tenths = done * 10 // total
    tenths_before = (done - 1) * 10 // total
    if tenths != tenths_before:
        print(f'{done}/{total} videos', file=sys.stderr, flush=True)
