"""``mmvos segment`` on many videos: those of a list or a folder, in one process or in several."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.apis.systems import SYSTEMS
from mmvos.cli.segment_model import (
    DEFAULT_SYSTEM,
    build_model,
    check_prompts_fit,
    choose_default_system,
    describe_model,
)
from mmvos.io.errors import DataError

if TYPE_CHECKING:
    from mmvos.apis.batch.outcome import Outcome
    from mmvos.apis.batch.videos import Video
    from mmvos.apis.batch.worker import BatchSettings
    from mmvos.apis.video_source import VideoSource
    from mmvos.cli.progress import Progress

_COMMAND = 'mmvos segment'
_NVIDIA = '/dev/nvidiactl'


def segment_many(args: argparse.Namespace) -> None:
    """Segment all videos and print what came of each.

    Args:
        args: of ``mmvos segment``.

    Raises:
        DataError: an option cannot be meant, nothing can be written, or at the end: some videos
            have faults.
        KeyboardInterrupt: with the sentence that says what is kept.
    """
    from mmvos.apis.batch.launchers import Share, find_share
    from mmvos.apis.batch.shares import batch_of, work_through
    from mmvos.apis.batch.videos import list_videos
    from mmvos.apis.batch.worker import VideoWorker
    from mmvos.io.atomic import check_folder

    # 1. Everything that can be refused is refused before the first video.
    check_options(args)
    videos = list_videos(args.input)
    check_folder(args.out)
    share = find_share(args.launcher)
    settings = read_settings(args)
    set_threads(args)
    described = describe_batch(args, videos)  # before each process chooses a GPU of its own
    model = None
    if args.launcher != 'ray' and args.processes == 1:
        choose_device(args, share.local_rank)
        model = build_model(args, bool(args.prompts))

    # 2. One command at a time writes there.
    try:
        with batch_of(settings.out, described, share.is_first) as since:
            is_alone = share == Share()
            total = len(videos) if is_alone else None
            report = Report(total)
            if args.launcher == 'ray':
                outcomes = on_ray(args, settings, videos, report)
            elif model is None:
                outcomes = in_processes(args, settings, videos, since)
            else:
                if is_alone:
                    worker = VideoWorker(model, settings, show=show_frames)
                else:
                    # What the others have ended is not done again, what they hold is waited for.
                    began = share.parent_began or since
                    worker = VideoWorker(model, settings, since=began, waits=True)
                outcomes = work_through(worker, videos, share, report)
            if share.is_first:
                tell(settings.out, outcomes)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f'the results of the videos that were finished are in {args.out}; the same command '
            f'goes on where it stopped'
        ) from None


def check_options(args: argparse.Namespace) -> None:
    """Refuse options that are of one video; choose the system that finds objects.

    Raises:
        DataError: there is such an option, or the prompts are no folder.
    """
    for option, value in (
        ('--mask', args.mask),
        ('--box', args.box),
        ('--point', args.point),
        ('--negative', args.negative),
        ('--show', args.show),
    ):
        if value:
            raise DataError(
                f'{option} is for one video, but {args.input} holds many; give the objects of '
                f'each in a folder, with --prompts FOLDER'
            )
    if args.prompts and not Path(args.prompts).is_dir():
        raise DataError(
            f'--prompts {args.prompts} is no folder; for many videos it is one, with prompts of '
            f'the name of each video'
        )
    if args.processes > 1 and args.launcher != 'none':
        raise DataError(
            f'--processes starts processes on this machine, but --launcher {args.launcher} says '
            f'that another program does; give one of them'
        )
    choose_default_system(args)
    known = args.system or (None if args.config else DEFAULT_SYSTEM)
    if known is not None:
        check_prompts_fit(bool(SYSTEMS[known].accepted_prompts), bool(args.prompts))


def read_settings(args: argparse.Namespace) -> BatchSettings:
    """Gather how the videos are segmented; paths are absolute, for other machines."""
    from mmvos.apis.batch.worker import BatchSettings

    prompts = None
    if args.prompts:
        prompts = Path(args.prompts).absolute()
    return BatchSettings(
        Path(args.out).absolute(),
        prompts,
        score_thr=args.score_thr,
        png=not args.no_png,
        video=not args.no_video,
        fps=args.fps,
        direction=args.direction,
        soft=args.soft,
        cutout=args.cutout,
        made_by=describe_model(args),
    )


def describe_batch(args: argparse.Namespace, videos: Sequence[Video]) -> dict[str, str]:
    """Say what tells this command from others; equal in all of its processes."""
    from mmvos.io.stored_state import digest_of

    options = [args.engine, args.device, args.cfg_options, args.prompts, args.score_thr, args.fps]
    options += [args.no_png, args.no_video, args.direction, args.soft, args.cutout]
    if args.compile:
        options.append('compile')
    return {
        **describe_model(args),
        'input': str(args.input),
        'videos': str(len(videos)),
        'digest': digest_of([[video.name for video in videos], [str(item) for item in options]]),
    }


def set_threads(args: argparse.Namespace) -> None:
    """Say with how many cores each model computes, before a library asks for it."""
    cores = args.threads
    if cores is None and 'OMP_NUM_THREADS' not in os.environ:
        cores = os.environ.get('SLURM_CPUS_PER_TASK') if args.launcher == 'slurm' else None
        if args.processes > 1:
            cores = max((os.cpu_count() or 1) // args.processes, 1)
    if cores is not None:
        os.environ['OMP_NUM_THREADS'] = str(cores)


def choose_device(args: argparse.Namespace, local_rank: int) -> None:
    """Give the processes of a machine its GPUs in turn, where they are torch's."""
    if args.device or args.graphs or args.engine not in (None, 'torch'):
        return
    if not os.path.exists(_NVIDIA) or find_spec('torch') is None:
        return
    import torch

    if torch.cuda.is_available():
        args.device = f'cuda:{local_rank % torch.cuda.device_count()}'


def in_processes(
    args: argparse.Namespace, settings: BatchSettings, videos: Sequence[Video], since: int
) -> list[Outcome]:
    """Start processes on this machine that divide the videos; this one only waits for them.

    Args:
        args: of the command line.
        settings: of all videos.
        videos: all of them.
        since: when this process began, see ``batch_of``.
    """
    from mmvos.apis.batch.launchers import PARENT
    from mmvos.apis.batch.local_processes import run_processes
    from mmvos.apis.batch.outcome import Outcome, read_outcome

    # The last of equal options counts.
    words = ['segment', *args.words, '--processes', '1', '--launcher', 'pytorch']
    run_processes(args.processes, words, {PARENT: str(since)}, _COMMAND)
    outcomes = []
    for video in videos:
        found = read_outcome(settings.out / video.name)
        if found is not None and found.changed > since and found.is_over:
            outcomes.append(found.outcome)
        else:
            fault = 'it was not finished: the process that worked on it was killed'
            outcomes.append(Outcome(video.name, str(video.path), fault=fault))
    return outcomes


def on_ray(
    args: argparse.Namespace,
    settings: BatchSettings,
    videos: Sequence[Video],
    report: Callable[[Outcome], object],
) -> list[Outcome]:
    """Give the videos to actors of a Ray cluster."""
    from mmvos.apis.batch.ray_cluster import segment_on_ray

    # Paths hold on all machines, in whatever folder a process works.
    for name in ('config', 'checkpoint', 'graphs'):
        value = getattr(args, name)
        if value and os.path.exists(value):
            setattr(args, name, os.path.abspath(value))
    cores = args.threads or int(os.environ.get('OMP_NUM_THREADS') or 1)
    make_model = partial(build_model, args, bool(args.prompts))
    return segment_on_ray(make_model, settings, videos, cores, report)


class Report:
    """Prints a line for each video that was segmented now.

    Args:
        total: number of videos, where this process sees them all; else None.
    """

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._count = 0

    def __call__(self, outcome: Outcome) -> None:
        """Print what came of a video."""
        self._count += 1
        if not outcome.is_new:
            return
        said = outcome.fault
        if not said:
            said = f'{outcome.frames} frames, {outcome.objects} objects, {outcome.seconds:.1f} s'
        place = ''
        if self._total is not None:
            place = f'[{self._count}/{self._total}] '
        print(f'{place}{outcome.video}: {said}', flush=True)


def show_frames(source: VideoSource) -> Progress:
    """Make what shows the frames of a video."""
    from mmvos.cli.progress import Progress

    return Progress('frame', source.length)


def tell(out: Path, outcomes: Sequence[Outcome]) -> None:
    """Print and write the table.

    Raises:
        DataError: videos have faults.
    """
    from mmvos.apis.batch.report import TABLE_CSV, TABLE_JSON, lines_of_table, write_tables

    write_tables(out, outcomes)
    print()
    for line in lines_of_table(outcomes):
        print(line)
    print(f'  {out / TABLE_CSV}\n  {out / TABLE_JSON}', flush=True)
    faulty = [outcome for outcome in outcomes if outcome.fault]
    if faulty:
        raise DataError(
            f'{len(faulty)} of {len(outcomes)} videos are not finished; the first, '
            f'{faulty[0].video}: {faulty[0].fault}'
        )
