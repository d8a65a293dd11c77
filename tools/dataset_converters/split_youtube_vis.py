"""Holds out a part of a YouTube-VIS training file: python
tools/dataset_converters/split_youtube_vis.py TRAIN.json --out DIR

The published validation files have no ground truth, so a score needs videos that training does not
see. Whole videos are held out, of every class about the same share (at least one video of a class
that has two), by a seed; the order of the file plays no part. Writes DIR/train_sub.json and
DIR/valid_sub.json; ids and all other entries stay.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvos.cli.guard import run_command
from mmvos.evaluation import EvaluationInputError
from mmvos.evaluation.youtube_vis import check_ground_truth, read_json
from mmvos.io.atomic import write_json


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Holds out a part of a YouTube-VIS training file.')
    parser.add_argument('train', type=Path, help='annotation file in YouTube-VIS format')
    parser.add_argument(
        '--out', required=True, type=Path, metavar='DIR', help='folder of the two files'
    )
    parser.add_argument(
        '--fraction', type=float, default=0.1, help='share of the videos to hold out (default 0.1)'
    )
    parser.add_argument('--seed', type=int, default=0, help='chooses the videos (default 0)')
    args = parser.parse_args()
    if not 0 < args.fraction < 1:
        parser.error('--fraction must be between 0 and 1')
    return args


def choose_held_out(classes: dict[int, set[int]], fraction: float, seed: int) -> set[int]:
    """Videos to hold out.

    Args:
        classes: video id -> class ids of its objects.
        fraction: share of each class's videos; rounded, but at least one of two and never the last
            in training.
        seed: of the choice between videos that fit equally well.
    """
    videos = sorted(classes)
    order = dict(
        zip(
            np.random.default_rng(seed).permutation(videos).tolist(),
            range(len(videos)),
            strict=True,
        )
    )
    # -1: no object at all, a class of its own
    kinds = {video: classes[video] or {-1} for video in videos}
    total = Counter(kind for video in videos for kind in kinds[video])
    wanted = {
        kind: min(max(1, round(fraction * number)), number - 1) for kind, number in total.items()
    }
    held: set[int] = set()
    count: Counter[int] = Counter()
    # rare classes have the fewest choices
    for kind in sorted(total, key=lambda kind: (total[kind], kind)):
        while count[kind] < wanted[kind]:
            fitting = [
                video
                for video in videos
                if kind in kinds[video]
                and video not in held
                and all(count[other] + 1 < total[other] for other in kinds[video])
            ]
            if not fitting:
                break
            best = min(
                fitting,
                key=lambda video: (
                    sum(max(0, count[other] + 1 - wanted[other]) for other in kinds[video]),
                    order[video],
                ),
            )
            held.add(best)
            count.update(kinds[best])
    return held


def select(data: dict[str, Any], videos: set[int]) -> dict[str, Any]:
    """The annotation file with these videos only."""
    return {
        **data,
        'videos': [entry for entry in data['videos'] if entry['id'] in videos],
        'annotations': [entry for entry in data['annotations'] if entry['video_id'] in videos],
    }


def main() -> None:
    args = parse_args()
    try:
        data = read_json(args.train)
        truth = check_ground_truth(data, str(args.train))
    except EvaluationInputError as error:
        sys.exit(f'split_youtube_vis: {error}')
    classes: dict[int, set[int]] = {video: set() for video in truth.videos}
    for track in truth.tracks:
        classes[track.video_id].add(track.category_id)
    held = choose_held_out(classes, args.fraction, args.seed)
    parts = {'train_sub': set(classes) - held, 'valid_sub': held}
    for name, videos in parts.items():
        write_json(args.out / f'{name}.json', select(data, videos))
        print(f'{args.out / name}.json: {len(videos)} videos')
    for category, label in truth.categories.items():
        train, valid = (
            sum(category in classes[video] for video in videos) for videos in parts.values()
        )
        print(f'  {label}: {train} videos to train, {valid} held out')


if __name__ == '__main__':
    run_command('split_youtube_vis', main)
