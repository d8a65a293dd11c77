"""Makes multi-object videos out of real footage: objects of a DAVIS-layout folder, pasted over its
other sequences.

    mmvos compose DAVIS_ROOT OUT --seed 0

Each video is one sequence, whose own object stays, with the tracks of objects cut out of other
sequences; order of occlusion, scale, path, flip and time offset are drawn from the seed. OUT has
the layout of YouTube-VIS with palette PNGs (see `youtube_vis_writer`). Videos of OUT/train use
only sequences of the DAVIS train list, those of OUT/valid only the val list. The name of a video
tells its sequences, background first. Letters: H, W height and width of the video.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    keep_lines = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=keep_lines)
    parser.add_argument(
        'davis_root', type=Path, help='folder with JPEGImages, Annotations and ImageSets'
    )
    parser.add_argument('out', type=Path, help='folder to write to')
    parser.add_argument(
        '--seed', type=int, required=True, help='the same seed makes the same files'
    )
    parser.add_argument('--train-videos', type=int, default=80)
    parser.add_argument('--val-videos', type=int, default=24)
    parser.add_argument('--frames', type=int, default=12, help='frames per video')
    parser.add_argument('--step', type=int, default=4, help='take every n-th frame of a sequence')
    parser.add_argument(
        '--train-step', type=int, help='for the train list, if it has another frame rate'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(640, 360),
        metavar=('LONG', 'SHORT'),
        help='the edges of a video are at most this long, in pixels',
    )
    parser.add_argument(
        '--classes',
        type=Path,
        help='JSON file {sequence: class}; goes before the built-in names of DAVIS 2016',
    )
    parser.add_argument(
        '--merge',
        type=parse_pair,
        nargs='+',
        default=[],
        metavar='CLASS=NAME',
        help='write a class under another name: coarser classes, the same videos',
    )
    parser.add_argument('--processes', type=int, default=multiprocessing.cpu_count())
    parser.add_argument('--overwrite', action='store_true', help='replace OUT/train and OUT/valid')
    args = parser.parse_args(argv)
    args.train_step = args.step if args.train_step is None else args.train_step
    counts = (
        args.train_videos,
        args.val_videos,
        args.frames,
        args.step,
        args.train_step,
        args.processes,
    )
    if args.seed < 0 or min(counts) < 1 or min(args.size) < 32:
        parser.error('the least is 0 for the seed, 32 for the size, 1 for all other numbers')
    return args


def parse_pair(text: str) -> tuple[str, str]:
    """Read CLASS=NAME."""
    name, sign, value = text.partition('=')
    if not (name and sign and value):
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form CLASS=NAME')
    return name, value


def main(argv: Sequence[str] | None = None) -> None:
    """Make both parts and say what is in them."""
    args = parse_arguments(argv)

    from functools import partial

    from mmvos.convert.compose import VideoJob, make_video
    from mmvos.convert.davis_sequences import LISTS, read_sequences
    from mmvos.convert.parallel_dataset import check_target, make_dataset, summarize

    # A job for each video; both parts have steps of their own between frames.
    plan = {'train': (args.train_videos, args.train_step), 'valid': (args.val_videos, args.step)}
    jobs = []
    for split, (count, step) in plan.items():
        for index in range(count):
            jobs.append(VideoJob(split, args.seed, index, args.frames, step, tuple(args.size)))
    try:
        check_target(args.out, list(LISTS), args.overwrite)
        sequences = read_sequences(args.davis_root, args.classes)

        # The classes, some of which become one.
        merged = dict(args.merge)
        found: set[str] = set()
        for part in sequences.values():
            found.update(sequence.class_name for sequence in part)
        unknown = sorted(set(merged) - found)
        if unknown:
            raise ValueError(
                f'--merge: no sequence has the class {unknown[0]}; there are '
                f'{", ".join(sorted(found))}'
            )
        names = sorted({merged.get(name, name) for name in found})

        records = make_dataset(
            args.out,
            jobs,
            partial(make_video, sequences, names, merged),
            names,
            f'mmvos composed videos, seed {args.seed}',
            args.processes,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    summarize(args.out, records)
