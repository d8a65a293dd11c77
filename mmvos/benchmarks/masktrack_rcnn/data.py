"""Data side by side: opening a YouTube-VIS-sized annotation file, and items per second through the
training pipeline.

mmdet reads CocoVID, so the native JSON is converted first (as its users must do); the conversion is
not counted.
"""

from __future__ import annotations

import json
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from mmvos.registry import DATASETS

from .compared_models import shipped_config

_FRAMES = 27  # per video, the average of YouTube-VIS 2019


def write_coco_vid(native: Path, target: Path) -> Path:
    """Converts a native YouTube-VIS JSON: one image per frame, one annotation per object and
    frame.
    """
    content = json.loads(native.read_text())
    images: list[dict[str, Any]] = []
    first: dict[int, int] = {}
    for video in content['videos']:
        first[video['id']] = len(images) + 1
        images += [
            dict(
                id=len(images) + 1 + t,
                video_id=video['id'],
                frame_id=t,
                file_name=name,
                width=video['width'],
                height=video['height'],
            )
            for t, name in enumerate(video['file_names'])
        ]
    annotations: list[dict[str, Any]] = []
    for item in content['annotations']:
        for t, (mask, box) in enumerate(zip(item['segmentations'], item['bboxes'])):
            if mask and box:
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=first[item['video_id']] + t,
                        video_id=item['video_id'],
                        instance_id=item['id'],
                        category_id=item['category_id'],
                        bbox=box,
                        segmentation=mask,
                        area=box[2] * box[3],
                        iscrowd=item.get('iscrowd', 0),
                    )
                )
    videos = [dict(id=video['id'], name=str(video['id'])) for video in content['videos']]
    target.write_text(
        json.dumps(
            dict(
                videos=videos,
                images=images,
                annotations=annotations,
                categories=content['categories'],
            )
        )
    )
    return target


def write_large_set(sample: Path, target: Path, videos: int = 2238, objects: int = 3774) -> Path:
    """A set as large as YouTube-VIS 2019's training split: the objects of a small one over and
    over, 27 frames each.

    The frames are there, because ours looks at them when it is opened (all are the same file).
    """
    content = json.loads(sample.read_text())
    shape = dict(height=content['videos'][0]['height'], width=content['videos'][0]['width'])
    clips = [
        dict(shape, id=v, length=_FRAMES, file_names=[f'{v:05}/{t:05}.jpg' for t in range(_FRAMES)])
        for v in range(1, videos + 1)
    ]
    picture = next((sample.parent / 'JPEGImages').rglob('*.jpg')).read_bytes()
    for clip in clips:
        paths = [target.parent / 'JPEGImages' / name for name in clip['file_names']]
        paths[0].parent.mkdir(parents=True)
        paths[0].write_bytes(picture)
        for path in paths[1:]:
            path.hardlink_to(paths[0])
    annotations = []
    for number, item in enumerate(islice(cycle(content['annotations']), objects)):
        lists = {
            key: list(islice(cycle(item[key]), _FRAMES))
            for key in ('segmentations', 'bboxes', 'areas')
        }
        annotations.append(
            dict(item, **lists, id=number + 1, video_id=number % videos + 1, length=_FRAMES)
        )
    target.write_text(
        json.dumps(dict(videos=clips, annotations=annotations, categories=content['categories']))
    )
    return target


def our_dataset(config: Config, ann_file: Path) -> BaseDataset:
    """Our training set on a file whose frames lie beside it in JPEGImages."""
    init_default_scope('mmdet')
    return DATASETS.build(
        dict(
            type='mmvos.YouTubeVISDataset',
            ann_file=str(ann_file),
            data_prefix=dict(img_path=str(ann_file.parent / 'JPEGImages')),
            pipeline=config.train_dataloader.dataset.pipeline,
        )
    )


def baseline_dataset(config: Config, ann_file: Path, images: Path) -> BaseDataset:
    """mmdet's training set on a CocoVID file, with its own pipeline at our scale."""
    init_default_scope('mmdet')
    pipeline = shipped_config().train_dataloader.dataset.pipeline
    scale = next(
        step.scale
        for step in config.train_dataloader.dataset.pipeline[0].transforms
        if step.type == 'Resize'
    )
    next(step for step in pipeline[1].transforms if step.type == 'Resize').scale = scale
    names = [category['name'] for category in json.loads(ann_file.read_text())['categories']]
    return MMDET_DATASETS.build(
        dict(
            type='YouTubeVISDataset',
            dataset_version='2019',
            metainfo=dict(classes=names),
            ann_file=str(ann_file),
            data_prefix=dict(img_path=str(images)),
            pipeline=pipeline,
        )
    )


def opening_seconds(config: Config, sample: Path, folder: Path) -> tuple[float, float]:
    """Seconds to open the large file: ours, mmdet's."""
    large = write_large_set(sample, folder / 'large.json')
    converted = write_coco_vid(large, folder / 'large_coco_vid.json')
    start = time.perf_counter()
    assert len(our_dataset(config, large)) > 0
    middle = time.perf_counter()
    assert len(baseline_dataset(config, converted, folder)) > 0
    return middle - start, time.perf_counter() - middle


def pairs(dataset: BaseDataset, baseline: bool) -> list[Any]:
    """Indices of all training items: frames; mmdet names them by video and frame."""
    if not baseline:
        return list(range(len(dataset)))
    return [
        (video, frame)
        for video in range(len(dataset))
        for frame in range(dataset.get_len_per_video(video))
    ]


def loader_frames_per_second(
    ours: BaseDataset, baseline: BaseDataset, items: int
) -> tuple[float, float]:
    """Frames per second through the training pipelines (two per item), in this process, taking
    turns.
    """
    spent = [0.0, 0.0]
    chosen = [
        list(islice(cycle(pairs(ours, False)), items)),
        list(islice(cycle(pairs(baseline, True)), items)),
    ]
    for dataset, indices in zip((ours, baseline), chosen):
        dataset[indices[0]]
    for step in range(items):
        for side, dataset in enumerate((ours, baseline)):
            start = time.perf_counter()
            dataset[chosen[side][step]]
            spent[side] += time.perf_counter() - start
    return 2 * items / spent[0], 2 * items / spent[1]
