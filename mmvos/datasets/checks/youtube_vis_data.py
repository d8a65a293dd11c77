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
    videos = data['videos']
    annotations = data['annotations']
    categories = data['categories']
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
                    f'video {video["id"]}: {name} is {size[0]}x{size[1]}, but the annotation file '
                    f'says {video["width"]}x{video["height"]}',
                )
                break


def _check_annotation(annotation: Row, video: Row, findings: Findings) -> None:
    """Boxes, areas and masks of one object against each other."""
    where = f'video {video["id"]}, annotation {annotation["id"]}'
    masks = annotation['segmentations']
    frames = [t for t, mask in enumerate(masks) if mask]
    if not frames:
        findings.note('an object is visible in no frame', where)
        return
    visible = [masks[t] for t in frames]
    measured = _measure(visible, video['height'], video['width'])
    areas = annotation.get('areas')
    for t, (area, tight) in zip(frames, measured, strict=True):
        place = f'{where}, frame {t} ({video["file_names"][t]})'
        box = annotation['bboxes'][t]
        stated = None if areas is None else areas[t]
        if not box:
            findings.note('a mask has no box, so the object is not learned there', place)
            continue
        if not area:
            # An error where the data set would use the object in this frame.
            _, _, w, h = box
            is_used = w >= 1 and h >= 1 and (areas is None or stated)
            add = findings.error if is_used else findings.note
            add('a mask has no pixel', place)
            continue
        _check_box(box, tight, video, place, findings)
        slack = max(1, _AREA_SLACK * area)
        if isinstance(stated, (int, float)) and abs(stated - area) > slack:
            findings.note(
                'an area is not that of its mask',
                f'{place}: {stated}, the mask has {area} pixels',
            )


def _check_box(
    box: Sequence[float],
    tight: tuple[float, float, float, float],
    video: Row,
    place: str,
    findings: Findings,
) -> None:
    """Compare a box (x, y, w, h) with the frame and with the tight box xyxy of its mask."""
    height = video['height']
    width = video['width']
    x, y, w, h = box
    right = x + w
    bottom = y + h
    if x < -1 or y < -1 or right > width + 1 or bottom > height + 1:
        text = f'{place}: {list(box)} in {width}x{height}'
        findings.note('a box reaches out of the frame', text)

    if _furthest((x, y, right, bottom), tight) > _SLACK:
        hint = ''
        if _furthest(box, tight) <= _SLACK:
            hint = ', as if it were (x1, y1, x2, y2)'
        x1, y1, x2, y2 = tight
        findings.note(
            'a box does not lie around its mask',
            f'{place}: {list(box)} (x, y, w, h){hint}, the mask has {[x1, y1, x2 - x1, y2 - y1]}',
        )


def _furthest(one: Sequence[float], two: Sequence[float]) -> float:
    """Return the largest difference of two boxes' numbers."""
    return float(np.abs(np.subtract(one, two)).max())


def _measure(
    masks: Sequence[Any], height: int, width: int
) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    """Yield (area, tight box x1, y1, x2, y2) of checked masks."""
    codes = [_compressed(mask, height, width) for mask in masks]
    areas = areas_of(codes)
    boxes = coco_mask.toBbox(codes).tolist()
    for area, box in zip(areas, boxes, strict=True):
        x, y, w, h = box
        yield area, (x, y, x + w, y + h)


def _compressed(mask: Any, height: int, width: int) -> Any:
    """Bring a checked mask into compressed run lengths."""
    size = [height, width]
    if isinstance(mask, list):
        polygons = [[float(value) for value in polygon] for polygon in mask]
        parts = coco_mask.frPyObjects(polygons, height, width)
        return coco_mask.merge(parts)
    counts = mask['counts']
    if isinstance(counts, str):
        return {'size': size, 'counts': counts.encode()}
    return coco_mask.frPyObjects({'size': size, 'counts': counts}, height, width)


def _check_use(
    annotations: Sequence[Row],
    videos: Sequence[Row],
    categories: Sequence[Row],
    annotated: bool,
    findings: Findings,
) -> None:
    """Note the classes and videos that no annotation is about."""
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
