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
    classes: dict[int, set[int]] = {video: set() for video in truth.videos}
    for track in truth.tracks:
        classes[track.video_id].add(track.category_id)
    held = choose_held_out(classes, fraction, seed)
    parts = {'train_sub': set(classes) - held, 'valid_sub': held}
    for name, videos in parts.items():
        write_json(out / f'{name}.json', select(data, videos))
        print(f'{out / name}.json: {len(videos)} videos')
    for category, label in truth.categories.items():
        counts = [sum(category in classes[video] for video in videos) for videos in parts.values()]
        print(f'  {label}: {counts[0]} videos to train, {counts[1]} held out')
