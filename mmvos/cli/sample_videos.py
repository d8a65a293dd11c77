"""Makes a small video instance segmentation data set from nothing but a seed, in the YouTube-VIS
layout.

    mmvos sample-videos OUT --seed 0

writes OUT/train and OUT/valid: `instances.json` (native YouTube-VIS), `JPEGImages/`, and the same
masks as DAVIS-style palette PNGs in `Annotations/`. Five classes (ball, crate, star, fish, ring),
told apart by shape and texture and not by color, move over textured backgrounds before a moving
camera; they deform, turn, change size, hide each other, leave and come back. A video depends only
on the seed, its split and its number, so the files do not depend on the processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path


def picture_size(text: str) -> tuple[int, int]:
    """Read an option WIDTHxHEIGHT.

    Raises:
        ArgumentTypeError: it is no such size.
    """
    from mmvos.io.errors import DataError
    from mmvos.io.text import parse_size

    try:
        return parse_size(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    keep_lines = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=keep_lines)
    parser.add_argument('out', type=Path, help='folder to write to')
    parser.add_argument(
        '--seed', type=int, required=True, help='the same seed makes the same files'
    )
    parser.add_argument('--train-videos', type=int, default=240)
    parser.add_argument('--val-videos', type=int, default=16)
    parser.add_argument('--frames', type=int, default=12, help='frames per video')
    parser.add_argument(
        '--size', type=picture_size, default='320x180', help='WIDTHxHEIGHT in pixels'
    )
    parser.add_argument('--processes', type=int, default=multiprocessing.cpu_count())
    parser.add_argument('--overwrite', action='store_true', help='replace OUT/train and OUT/valid')
    args = parser.parse_args(argv)
    if (
        min(
            args.seed,
            args.train_videos - 1,
            args.val_videos - 1,
            args.frames - 1,
            args.processes - 1,
        )
        < 0
    ):
        parser.error(
            'the seed must be at least 0, the numbers of videos, frames and processes at least 1'
        )
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Make both splits and say what is in them."""
    args = parse_arguments(argv)

    from mmvos.convert.parallel_dataset import check_target, make_dataset, summarize
    from mmvos.convert.sample_shapes import CLASSES
    from mmvos.convert.sample_videos import SPLITS, VideoJob, make_video

    # A job for each video.
    counts = dict(zip(SPLITS, (args.train_videos, args.val_videos), strict=True))
    jobs = []
    for split, count in counts.items():
        for index in range(count):
            jobs.append(VideoJob(split, args.seed, index, args.frames, args.size))
    names = [shape.name for shape in CLASSES]
    try:
        check_target(args.out, SPLITS, args.overwrite)
        records = make_dataset(
            args.out,
            jobs,
            make_video,
            names,
            f'mmvos sample videos, seed {args.seed}',
            args.processes,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    summarize(args.out, records)
