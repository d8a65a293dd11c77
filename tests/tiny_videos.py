"""A data set of a few small videos on disk, with two objects in every frame, and a config that
trains the tiny model on it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from tiny_masktrack import picture, tiny_config

from mmvos.datasets.youtube_vis_writer import VideoWriter, write_instances

HEIGHT, WIDTH = 48, 64
CLASSES = ('square', 'bar', 'ring', 'star', 'cross')


def write_tiny_videos(root: Path, lengths: tuple[int, ...] = (3, 1, 2)) -> Path:
    """Videos ``v0``, ``v1``, ... of the given lengths: two rectangles that move to the right;
    returns the JSON.
    """
    records = []
    for number, length in enumerate(lengths):
        writer = VideoWriter(root, f'v{number}', {1: number % 5 + 1, 2: 2})
        for t in range(length):
            image = picture(number, HEIGHT, WIDTH)
            labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
            labels[6:26, 4 + 3 * t : 24 + 3 * t] = 1
            labels[30:42, 10 + 4 * t : 42 + 4 * t] = 2
            image[labels == 1] = (30, 60, 250)
            image[labels == 2] = (240, 200, 20)
            writer.add(image, labels)
        records.append(writer.finish())
    path = root / 'instances.json'
    write_instances(path, records, CLASSES, 'tiny videos')
    return path


def without_annotations(path: Path) -> Path:
    """The same videos as a test split."""
    content = json.loads(path.read_text())
    del content['annotations']
    bare = path.with_name('test_split.json')
    bare.write_text(json.dumps(content))
    return bare


def tiny_training(annotations: Path, **overrides: Any) -> Config:
    """The tiny model on the tiny videos: 2 pairs a batch, every iteration logged, no worker
    processes.
    """
    config = tiny_config(**overrides)
    root = str(annotations.parent)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = config[name]
        loader.update(
            num_workers=0,
            persistent_workers=False,
            batch_size=2 if name == 'train_dataloader' else 1,
        )
        loader.dataset.update(
            data_root=root, ann_file=annotations.name, data_prefix=dict(img_path='JPEGImages')
        )
        for step in loader.dataset.pipeline[0].transforms:
            if step.type == 'Resize':
                step.scale = (WIDTH, HEIGHT)
    config.val_evaluator.ann_file = config.test_evaluator.ann_file = str(annotations)
    config.default_hooks.logger.interval = 1
    config.merge_from_dict({key.replace('__', '.'): value for key, value in overrides.items()})
    return config
