"""Checks a YouTube-VIS annotation file and, where their folder is known, that its frames are there.

What stops ``YouTubeVISDataset`` is found by the same functions (``mmvos.io.youtube_vis``,
``frame_files``); the rest is what a training would take without a word. No image is opened unless
asked for, and masks are measured as run lengths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from mmvos.datasets.frame_files import damaged_images, missing_frames
from mmvos.io.errors import DataError
from mmvos.io.progress_bar import with_bar
from mmvos.io.rle import areas_of
from mmvos.io.youtube_vis import (
    annotation_problems,
    category_names,
    read_youtube_vis,
    video_problems,
)

from .findings import Findings

_SLACK = 2  # pixels between a box and its mask that nobody needs to look at
_AREA_SLACK = 0.01
Row = Mapping[str, Any]


def check_youtube_vis(
    path: str | Path,
    findings: Findings,
    frames: str | Path | None = None,
    images: bool = False,
    truth: bool = True,
    classes: Sequence[str] | None = None,
) -> tuple[str, ...] | None:
    """Check one file.

    Args:
        frames: folder that the file names are relative to; None: the frames are not looked for.
        images: open every frame.
        truth: annotations are needed; else their absence is a note.
        classes: names that a config uses, in the order of its labels.
    Returns:
        The classes in the order of the labels, None where the file is not usable.
    """
    try:
        data = read_youtube_vis(path)
        category_names(data['categories'], path)
    except DataError as error:
        other = 'has no list' in str(error)
        hint = (
            ' (mmvos convert makes one of COCO, CVAT, labelme, MOTS and folders)' if other else ''
        )
        findings.error('the file is not usable', f'{error}{hint}')
        return None
    videos, annotations, categories = data['videos'], data['annotations'], data['categories']
    findings.summary = (
        f'{len(videos)} videos, '
        f'{sum(len(v["file_names"]) for v in videos if isinstance(v.get("file_names"), list))} '
        f'frames, {len(annotations or [])} objects, {len(categories)} classes'
    )
    names = _check_classes(categories, classes, findings)
    if not annotations:
        add = findings.error if truth else findings.note
        add(
            'no annotations',
            f'"annotations" is {"null or missing" if annotations is None else "empty"}, as in a '
            f'published validation or test file; it serves for test_mode=True only '
            f'(mmvos check --test)',
        )
    bad_videos = dict(video_problems(videos))
    for sentence in bad_videos.values():
        findings.error('a video entry is not usable', sentence)
    good = [None if place in bad_videos else video for place, video in enumerate(videos)]
    _check_names(good, findings)
    _check_frames(good, frames, images, findings)
    bad = dict(annotation_problems(annotations or [], videos, categories))
    for sentence in bad.values():
        findings.error('an annotation is not usable', sentence)
    by_id = {video['id']: video for video in good if video}
    usable = [
        row
        for place, row in enumerate(annotations or [])
        if place not in bad and row['video_id'] in by_id
    ]
    for annotation in with_bar(usable, 'masks'):
        _check_annotation(annotation, by_id[annotation['video_id']], findings)
    _check_use(usable, [video for video in good if video], categories, bool(annotations), findings)
    return names


def _check_classes(
    categories: Sequence[Row], classes: Sequence[str] | None, findings: Findings
) -> tuple[str, ...]:
    known = [category['name'] for category in categories]
    if classes is None:
        return tuple(known)
    for name in classes:
        if name not in known:
            findings.error(
                'a class of the config is unknown',
                f'{name!r} is no category of the file; it has {", ".join(known)}',
            )
    for name in known:
        if name not in classes:
            findings.note(
                'a category is not among the classes of the config',
                f'{name!r}; its objects are left out',
            )
    return tuple(classes)


def _check_names(videos: Sequence[Row | None], findings: Findings) -> None:
    owner: dict[str, int] = {}
    for video in videos:
        if video is None:
            continue
        counts: Counter[str] = Counter(video['file_names'])
        for name, count in counts.items():
            if count > 1:
                findings.error(
                    'a frame stands more than once in a video',
                    f'video {video["id"]}: {name}, {count} times',
                )
            elif name in owner:
                findings.note(
                    'a frame belongs to several videos',
                    f'{name} belongs to the videos {owner[name]} and {video["id"]}',
                )
            owner[name] = video['id']


def _check_frames(
    videos: Sequence[Row | None], frames: str | Path | None, images: bool, findings: Findings
) -> None:
    if frames is None:
        findings.note('frames are not looked for', 'give their folder with --frames')
        return
    missing = dict(missing_frames(videos, frames))
    for sentence in missing.values():
        findings.error('frames are missing', sentence)
    if not images:
        return
    present = [None if place in missing else video for place, video in enumerate(videos)]
    damaged = dict(damaged_images(with_bar(present, 'images'), frames))
    for sentence in damaged.values():
        findings.error('a frame is damaged or of another size', sentence)
    for place, video in enumerate(present):
        if video is None or place in damaged:
            continue
        for name in video['file_names']:
            try:
                with Image.open(Path(frames, name)) as image:
                    size = image.size
            except Exception as error:  # Pillow raises a dozen unrelated kinds for damaged files
                findings.error(
                    'a frame cannot be read',
                    f'video {video["id"]}: {name} ({str(error).splitlines()[0]})',
                )
                break
            if size not in ((video['width'], video['height']), (video['height'], video['width'])):
                findings.error(
                    'a frame is damaged or of another size',
                    f'video {video["id"]}: {name} is {size[0]}x{size[1]}, '
                    f'but the '
                    f'annotation file says {video["width"]}x{video["height"]}',
                )
                break


def _check_annotation(annotation: Row, video: Row, findings: Findings) -> None:
    """Boxes, areas and masks of one object against each other."""
    where = f'video {video["id"]}, annotation {annotation["id"]}'
    height, width = video['height'], video['width']
    frames = [t for t, mask in enumerate(annotation['segmentations']) if mask]
    if not frames:
        findings.note('an object is visible in no frame', where)
        return
    measured = _measure([annotation['segmentations'][t] for t in frames], height, width)
    stated = annotation.get('areas')
    for t, (area, tight) in zip(frames, measured, strict=True):
        place, box = f'{where}, frame {t} ({video["file_names"][t]})', annotation['bboxes'][t]
        if not box:
            findings.note('a mask has no box, so the object is not learned there', place)
            continue
        x, y, w, h = box
        used = w >= 1 and h >= 1 and (stated is None or stated[t])
        if not area:
            (findings.error if used else findings.note)('a mask has no pixel', place)
            continue
        if x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1:
            findings.note(
                'a box reaches out of the frame', f'{place}: {list(box)} in {width}x{height}'
            )
        if np.abs(np.subtract((x, y, x + w, y + h), tight)).max() > _SLACK:
            hint = (
                ', as if it were (x1, y1, x2, y2)'
                if np.abs(np.subtract(box, tight)).max() <= _SLACK
                else ''
            )
            findings.note(
                'a box does not lie around its mask',
                f'{place}: {list(box)} (x, y, w, h){hint}, the mask has '
                f'{[tight[0], tight[1], tight[2] - tight[0], tight[3] - tight[1]]}',
            )
        if (
            stated is not None
            and isinstance(stated[t], (int, float))
            and abs(stated[t] - area) > max(1, _AREA_SLACK * area)
        ):
            findings.note(
                'an area is not that of its mask',
                f'{place}: {stated[t]}, the mask has {area} pixels',
            )


def _measure(
    masks: Sequence[Any], height: int, width: int
) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    """Yields (area, tight box x1, y1, x2, y2) of checked masks."""
    rles = [_compressed(mask, height, width) for mask in masks]
    boxes = coco_mask.toBbox(rles).tolist()
    for area, (x, y, w, h) in zip(areas_of(rles), boxes, strict=True):
        yield area, (x, y, x + w, y + h)


def _compressed(mask: Any, height: int, width: int) -> Any:
    if isinstance(mask, list):
        return coco_mask.merge(
            coco_mask.frPyObjects(
                [[float(value) for value in polygon] for polygon in mask], height, width
            )
        )
    if isinstance(mask['counts'], str):
        return {'size': [height, width], 'counts': mask['counts'].encode()}
    return coco_mask.frPyObjects({'size': [height, width], 'counts': mask['counts']}, height, width)


def _check_use(
    annotations: Sequence[Row],
    videos: Sequence[Row],
    categories: Sequence[Row],
    annotated: bool,
    findings: Findings,
) -> None:
    """Notes on classes and videos that no annotation is about."""
    if not annotated:
        return
    crowds = [annotation for annotation in annotations if annotation.get('iscrowd')]
    if crowds:
        # Where nothing else is left, a training would find no object and a score be undefined.
        add = findings.error if len(crowds) == len(annotations) else findings.note
        add(
            'crowds (iscrowd 1) are neither trained on nor scored',
            f'{len(crowds)} of {len(annotations)} annotations; CVAT marks every brush mask so '
            f'(mmvos convert coco_to_youtube_vis --ignore-iscrowd)',
        )
    per_class = Counter(annotation['category_id'] for annotation in annotations)
    for category in categories:
        if not per_class[category['id']]:
            findings.note('a class has no object', f'{category["name"]!r}')
    with_objects = {annotation['video_id'] for annotation in annotations}
    for video in videos:
        if video['id'] not in with_objects:
            findings.note(
                'a video has no object',
                f'video {video["id"]} ({Path(video["file_names"][0]).parent.name})',
            )
