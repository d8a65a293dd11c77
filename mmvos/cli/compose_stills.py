"""Makes short videos of several objects out of still images with masks.

    mmvos compose-stills OUT --seed 0 --set STATIC/instances.json STATIC/images CLASSES.json

Each video is one image in a slight random motion, whose objects stay, with objects cut out of other
images, each in a motion of its own: what a detector that tracks learns from where there are no
videos. CLASSES.json says which class each object has, and in which images all objects are marked
(see `mmvos.convert.compose_stills.read_stills`). OUT/train has the layout of YouTube-VIS with
palette PNGs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    keep_lines = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=keep_lines)
    parser.add_argument('out', type=Path, help='folder to write to')
    parser.add_argument(
        '--set',
        type=Path,
        nargs=3,
        action='append',
        required=True,
        metavar=('ANNOTATIONS', 'IMAGES', 'CLASSES'),
        help='a COCO file, the folder of its images, the file of its classes; may be repeated',
    )
    parser.add_argument(
        '--share',
        type=parse_share,
        nargs='+',
        required=True,
        metavar='CLASS=SHARE',
        help='the classes, and how often an object of each is pasted',
    )
    parser.add_argument(
        '--seed', type=int, required=True, help='the same seed makes the same files'
    )
    parser.add_argument('--videos', type=int, default=1500)
    parser.add_argument('--frames', type=int, default=2, help='frames per video')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(384, 216), metavar=('WIDTH', 'HEIGHT')
    )
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--overwrite', action='store_true', help='replace OUT/train')
    args = parser.parse_args(argv)
    counts = (args.videos, args.frames, args.processes)
    if args.seed < 0 or min(counts) < 1 or min(args.size) < 32:
        parser.error('the least is 0 for the seed, 32 for the size, 1 for all other numbers')
    return args


def parse_share(text: str) -> tuple[str, float]:
    """Read CLASS=SHARE."""
    name, _, value = text.partition('=')
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if not name or not 0 < share < float('inf'):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not of the form CLASS=SHARE, a share above 0'
        )
    return name, share


def main(argv: Sequence[str] | None = None) -> None:
    """Make the videos and say how many there are."""
    args = parse_arguments(argv)

    from functools import partial

    from mmvos.convert.compose_stills import StillJob, make_video, read_stills, sort_stills
    from mmvos.convert.parallel_dataset import check_target, make_dataset, summarize

    # The share of each class decides how often its objects are drawn.
    shares = dict(args.share)
    names = list(shares)
    size = tuple(args.size)
    jobs = [StillJob('train', args.seed, i, args.frames, size) for i in range(args.videos)]
    try:
        check_target(args.out, ['train'], args.overwrite)
        stills = []
        for ann_file, images, classes in args.set:
            stills += read_stills(ann_file, images, classes)
        records = make_dataset(
            args.out,
            jobs,
            partial(make_video, sort_stills(stills, shares), names),
            names,
            f'mmvos composed stills, seed {args.seed}',
            args.processes,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    summarize(args.out, records)
