"""Holding out a part of a YouTube-VIS training file.

The published validation files have no ground truth, so a score needs videos that training does not
see. Whole videos are held out, of every class about the same share (at least one video of a class
that has two), by a seed; the order of the file plays no part. Ids and all other entries stay.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mmvos.evaluation.youtube_vis.tracks import check_ground_truth
from mmvos.io.atomic import write_json
from mmvos.io.json_file import read_json


def choose_held_out(classes: dict[int, set[int]], fraction: float, seed: int) -> set[int]:
    """Choose the videos to hold out.

    Args:
        classes: video id -> class ids of its objects.
        fraction: share of each class's videos; rounded, but at least one of two and never the last
            in training.
        seed: of the choice between videos that fit equally well.
    """
    videos = sorted(classes)
    shuffled = np.random.default_rng(seed).permutation(videos).tolist()
    order = {video: place for place, video in enumerate(shuffled)}

    # How many videos of each class there are, and how many of them are held out; -1: no object at
    # all, a class of its own.
    kinds = {video: classes[video] or {-1} for video in videos}
    total: Counter[int] = Counter()
    for video in videos:
        total.update(kinds[video])
    wanted = {}
    for kind, number in total.items():
        share = max(1, round(fraction * number))
        wanted[kind] = min(share, number - 1)

    held: set[int] = set()
    count: Counter[int] = Counter()

    def fits(video: int) -> bool:
        # The last video of a class stays in training.
        return all(count[kind] + 1 < total[kind] for kind in kinds[video])

    def surplus(video: int) -> tuple[int, int]:
        # By how many videos classes would be above what is wanted; of equal ones by chance.
        above = [max(0, count[kind] + 1 - wanted[kind]) for kind in kinds[video]]
        return sum(above), order[video]

    # Rare classes have the fewest choices, so they choose first.
    for kind in sorted(total, key=lambda kind: (total[kind], kind)):
        while count[kind] < wanted[kind]:
            fitting = []
            for video in videos:
                if kind in kinds[video] and video not in held and fits(video):
                    fitting.append(video)
            if not fitting:
                break
            best = min(fitting, key=surplus)
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


def write(train: Path, out: Path, fraction: float, seed: int) -> None:
    """Write OUT/train_sub.json and OUT/valid_sub.json, and say what is in them.

    Args:
        train: annotation file.
        out: the folder.
        fraction: share of the videos to hold out.
        seed: chooses the videos.

    Raises:
        DataError: the file is no annotation file with objects.
    """
    data = read_json(train)
    truth = check_ground_truth(data, str(train))

    # The classes of each video decide about the split.
    classes: dict[int, set[int]] = {video: set() for video in truth.videos}
    for track in truth.tracks:
        classes[track.video_id].add(track.category_id)
    held_out = choose_held_out(classes, fraction, seed)
    kept = set(classes) - held_out

    for name, videos in (('train_sub', kept), ('valid_sub', held_out)):
        path = out / f'{name}.json'
        write_json(path, select(data, videos))
        print(f'{path}: {len(videos)} videos')
    for category, label in truth.categories.items():
        to_train = sum(category in classes[video] for video in kept)
        to_test = sum(category in classes[video] for video in held_out)
        print(f'  {label}: {to_train} videos to train, {to_test} held out')
