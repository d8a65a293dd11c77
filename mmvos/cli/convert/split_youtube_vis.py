"""Holds out a part of a YouTube-VIS training file:

    mmvos convert split_youtube_vis TRAIN.json --out DIR

The published validation files have no ground truth, so a score needs videos that training does not
see. Whole videos are held out, of every class about the same share (at least one video of a class
that has two), by a seed; the order of the file plays no part. Writes DIR/train_sub.json and
DIR/valid_sub.json; ids and all other entries stay.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Holds out a part of a YouTube-VIS training file.')
    parser.add_argument('train', type=Path, help='annotation file in YouTube-VIS format')
    parser.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='folder of the two files'
    )
    parser.add_argument(
        '--fraction', type=float, default=0.1, help='share of the videos to hold out (default 0.1)'
    )
    parser.add_argument('--seed', type=int, default=0, help='chooses the videos (default 0)')
    args = parser.parse_args(argv)
    if not 0 < args.fraction < 1:
        parser.error('--fraction must be between 0 and 1')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Split one file."""
    args = parse_arguments(argv)

    from mmvos.convert import split

    split.write(args.train, args.out, args.fraction, args.seed)
