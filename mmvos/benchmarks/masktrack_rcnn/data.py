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
    """Convert a native YouTube-VIS JSON: one image per frame, one annotation per object and frame.

    Args:
        native: the file.
        target: the CocoVID file that is written.

    Returns:
        ``target``.
    """
    content = json.loads(native.read_text())

    # An image for each frame, numbered through all videos.
    images: list[dict[str, Any]] = []
    first_image: dict[int, int] = {}
    for video in content['videos']:
        first_image[video['id']] = len(images) + 1
        for t, name in enumerate(video['file_names']):
            images.append(
                dict(
                    id=len(images) + 1,
                    video_id=video['id'],
                    frame_id=t,
                    file_name=name,
                    width=video['width'],
                    height=video['height'],
                )
            )

    # An annotation for each frame that shows an object.
    annotations: list[dict[str, Any]] = []
    for item in content['annotations']:
        for t, (mask, box) in enumerate(zip(item['segmentations'], item['bboxes'])):
            if not mask or not box:
                continue
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=first_image[item['video_id']] + t,
                    video_id=item['video_id'],
                    instance_id=item['id'],
                    category_id=item['category_id'],
                    bbox=box,
                    segmentation=mask,
                    area=box[2] * box[3],
                    iscrowd=item.get('iscrowd', 0),
                )
            )
    whole = dict(
        videos=[dict(id=video['id'], name=str(video['id'])) for video in content['videos']],
        images=images,
        annotations=annotations,
        categories=content['categories'],
    )
    target.write_text(json.dumps(whole))
    return target


def write_large_set(sample: Path, target: Path, videos: int = 2238, objects: int = 3774) -> Path:
    """Write a set as large as YouTube-VIS 2019's training split.

    It has the objects of a small set over and over, 27 frames each. The frames are there, because
    ours looks at them when it is opened (all are the same file).

    Args:
        sample: the annotation file of the small set, beside its ``JPEGImages``.
        target: the annotation file that is written.
        videos: how many.
        objects: in all videos.

    Returns:
        ``target``.
    """
    content = json.loads(sample.read_text())
    first = content['videos'][0]
    picture = next((sample.parent / 'JPEGImages').rglob('*.jpg')).read_bytes()

    # The videos: one file for the first frame, under as many names as there are frames.
    clips = []
    for number in range(1, videos + 1):
        names = [f'{number:05}/{t:05}.jpg' for t in range(_FRAMES)]
        clip = dict(height=first['height'], width=first['width'], id=number, length=_FRAMES)
        clips.append(clip | {'file_names': names})
        paths = [target.parent / 'JPEGImages' / name for name in names]
        paths[0].parent.mkdir(parents=True)
        paths[0].write_bytes(picture)
        for path in paths[1:]:
            path.hardlink_to(paths[0])

    # The objects: those of the sample, their frames repeated until there are enough.
    annotations = []
    for number, item in enumerate(islice(cycle(content['annotations']), objects)):
        annotation = dict(item)
        for key in ('segmentations', 'bboxes', 'areas'):
            annotation[key] = list(islice(cycle(item[key]), _FRAMES))
        annotation['id'] = number + 1
        annotation['video_id'] = number % videos + 1
        annotation['length'] = _FRAMES
        annotations.append(annotation)
    whole = dict(videos=clips, annotations=annotations, categories=content['categories'])
    target.write_text(json.dumps(whole))
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
    """Open mmdet's training set on a CocoVID file, with its own pipeline at our scale.

    Args:
        config: of our model.
        ann_file: the CocoVID file.
        images: folder that its names are relative to.
    """
    init_default_scope('mmdet')
    pipeline = shipped_config().train_dataloader.dataset.pipeline
    our_pipeline = config.train_dataloader.dataset.pipeline
    our_resize = _find_resize(our_pipeline[0].transforms)
    _find_resize(pipeline[1].transforms).scale = our_resize.scale
    categories = json.loads(ann_file.read_text())['categories']
    return MMDET_DATASETS.build(
        dict(
            type='YouTubeVISDataset',
            dataset_version='2019',
            metainfo=dict(classes=[category['name'] for category in categories]),
            ann_file=str(ann_file),
            data_prefix=dict(img_path=str(images)),
            pipeline=pipeline,
        )
    )


def _find_resize(steps: Any) -> Any:
    """Return the step of a pipeline that resizes."""
    return next(step for step in steps if step.type == 'Resize')


def opening_seconds(config: Config, sample: Path, folder: Path) -> tuple[float, float]:
    """Measure how long the large annotation file takes to open.

    Args:
        config: of our model.
        sample: the annotation file of a small set.
        folder: in which the large set is made.

    Returns:
        Seconds: ours, mmdet's.
    """
    large = write_large_set(sample, folder / 'large.json')
    converted = write_coco_vid(large, folder / 'large_coco_vid.json')

    start = time.perf_counter()
    ours = our_dataset(config, large)
    assert len(ours) > 0
    our_seconds = time.perf_counter() - start

    start = time.perf_counter()
    baseline = baseline_dataset(config, converted, folder)
    assert len(baseline) > 0
    baseline_seconds = time.perf_counter() - start
    return our_seconds, baseline_seconds


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
    """Measure the training pipelines, in this process, taking turns.

    Args:
        ours: our training set.
        baseline: mmdet's.
        items: pairs of frames to load.

    Returns:
        Frames per second (two per item): ours, mmdet's.
    """
    our_items = list(islice(cycle(pairs(ours, False)), items))
    baseline_items = list(islice(cycle(pairs(baseline, True)), items))
    # The first item of each is warm-up.
    ours[our_items[0]]
    baseline[baseline_items[0]]

    our_seconds = 0.0
    baseline_seconds = 0.0
    for our_item, baseline_item in zip(our_items, baseline_items, strict=True):
        start = time.perf_counter()
        ours[our_item]
        our_seconds += time.perf_counter() - start
        start = time.perf_counter()
        baseline[baseline_item]
        baseline_seconds += time.perf_counter() - start
    return 2 * items / our_seconds, 2 * items / baseline_seconds
