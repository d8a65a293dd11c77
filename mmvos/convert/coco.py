"""COCO with track ids: reading it as videos with tracked objects, and writing it.

An image belongs to the video ``video_id``, or, where the images have none, to the folder in its
``file_name``; frames are ordered by ``frame_id`` (or ``frame_index``), or, where the images have
none, by name. The object of an annotation is its ``track_id``, ``instance_id`` or
``attributes.track_id``; its masks are polygons or run lengths, which are kept as they are. Videos
are named after the list ``videos``. Boxes, areas, ids, classes and ``iscrowd`` are kept.
YouTube-VIS has one class and one ``iscrowd`` for an object and one size for a video, so input where
they change is refused; keypoints, captions and attributes have no place in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from mmvos.convert.annotation_model import (
    ConversionError,
    Notes,
    TrackedObject,
    TrackedVideo,
    check_box,
    check_mask,
    check_size,
    value_of,
)
from mmvos.convert.youtube_vis import AnnotationFile, described
from mmvos.io.atomic import write_json
from mmvos.io.coco import read_coco
from mmvos.io.frame_names import sort_frames
from mmvos.io.paths import check_name
from mmvos.io.progress_bar import with_bar
from mmvos.io.youtube_vis import area_fault, category_names

TRACK_IDS = ('track_id', 'instance_id')
FRAME_NUMBERS = ('frame_id', 'frame_index')
Row = Mapping[str, Any]


def read(
    path: Path, notes: Notes, fill_boxes: bool = False, ignore_crowds: bool = False
) -> tuple[list[TrackedVideo], list[Row]]:
    """The videos and the categories of a COCO file.

    Args:
        path: the file.
        notes: takes what is changed or worth a look.
        fill_boxes: annotations without a mask get their filled box.
        ignore_crowds: ``iscrowd`` is taken for 0.

    Raises:
        ConversionError, EvaluationInputError: at the first fault, with file, image and annotation.
    """
    return parse(read_coco(path), path, notes, fill_boxes, ignore_crowds)


def parse(
    data: Row, path: Path, notes: Notes, fill_boxes: bool = False, ignore_crowds: bool = False
) -> tuple[list[TrackedVideo], list[Row]]:
    """The videos and the categories of a COCO file's content; see `read`.

    Args:
        data: what ``read_coco`` gives.
        path: where it comes from.
        notes, fill_boxes, ignore_crowds: see `read`.
    """
    rows: dict[str, list[Row]] = {}
    for key in ('images', 'annotations', 'categories'):
        rows[key] = value_of(data, key, list, str(path))
    if ignore_crowds:
        rows['annotations'] = [{**entry, 'iscrowd': 0} for entry in rows['annotations']]
    crowds = [entry for entry in rows['annotations'] if entry.get('iscrowd')]
    for entry in crowds:
        notes.add(
            f'of {len(rows["annotations"])} annotations are crowds (iscrowd 1), which are neither '
            f'trained on nor scored; CVAT marks every brush mask so: --ignore-iscrowd takes them '
            f'for objects',
            f'{path}: annotation {entry.get("id")}',
        )
    names = category_names(
        [category if isinstance(category, dict) else {} for category in rows['categories']], path
    )
    grouped = _frames_of_videos(rows['images'], str(path))
    place_of = {
        image['id']: (video, t)
        for video, images in grouped.items()
        for t, image in enumerate(images)
    }
    tracks: dict[Any, dict[int, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    seen: set[int] = set()
    for place, entry in enumerate(with_bar(rows['annotations'], 'reading')):
        annotation_id = value_of(entry, 'id', int, f'{path}: annotation at position {place}')
        where = f'{path}: annotation {annotation_id}'
        if entry['id'] in seen:
            raise ConversionError(f'{where} stands twice; give every annotation its own id.')
        seen.add(entry['id'])
        if value_of(entry, 'image_id', int, where) not in place_of:
            raise ConversionError(
                f'{where} belongs to image {entry["image_id"]}, which the file does not list.'
            )
        video, t = place_of[entry['image_id']]
        track = _track_id(entry, where)
        if t in tracks[video][track]:
            raise ConversionError(
                f'{where}: object {track} has another annotation in image {entry["image_id"]}.'
            )
        tracks[video][track][t] = entry
    listed = {
        value_of(row, 'id', int, f'{path}: video at position {place}'): row.get('name')
        for place, row in enumerate(
            value_of(data, 'videos', list, str(path)) if data.get('videos') else ()
        )
    }
    return [
        _video(video, images, tracks[video], names, listed, fill_boxes, str(path))
        for video, images in grouped.items()
    ], rows['categories']


def _frames_of_videos(images: Sequence[Row], source: str) -> dict[Any, list[Row]]:
    """video -> its images in order; the video is an int, or a folder."""
    if not images:
        raise ConversionError(f'{source} lists no image.')
    grouped: dict[Any, list[Row]] = defaultdict(list)
    seen: set[int] = set()
    for place, image in enumerate(images):
        where = (
            f'{source}: image {value_of(image, "id", int, f"{source}: image at position {place}")}'
        )
        if image['id'] in seen:
            raise ConversionError(f'{where} stands twice; give every image its own id.')
        seen.add(image['id'])
        name = check_name(value_of(image, 'file_name', str, where), where)
        check_size(
            value_of(image, 'height', int, where), value_of(image, 'width', int, where), where
        )
        folder = str(PurePosixPath(name).parent)
        grouped[
            value_of(image, 'video_id', int, where) if 'video_id' in images[0] else folder
        ].append(image)
    key = next((key for key in FRAME_NUMBERS if key in images[0]), None)
    for video, frames in grouped.items():
        where = f'{source}: video {video}'
        _check_files_differ(frames, where)
        if key is None:
            grouped[video] = sort_frames(frames, where, lambda image: str(image['file_name']))
            continue
        frames.sort(key=lambda image: value_of(image, key, int, f'{source}: image {image["id"]}'))
        for one, two in pairwise(frames):
            if one[key] == two[key]:
                raise ConversionError(
                    f'{where}: images {one["id"]} and {two["id"]} both have the {key} {one[key]}.'
                )
    return grouped


def _check_files_differ(frames: Sequence[Row], where: str) -> None:
    """Refuse a file that is two frames of a video."""
    seen: dict[Any, Any] = {}
    for image in frames:
        other = seen.setdefault(image['file_name'], image['id'])
        if other != image['id']:
            raise ConversionError(
                f'{where}: images {other} and {image["id"]} are both {image["file_name"]}.'
            )


def track_of(entry: Row, where: str) -> int | None:
    """The object of an annotation; None where the file does not say it.

    Raises:
        ConversionError: it is no whole number; the message begins with ``where``.
    """
    attributes = entry.get('attributes')
    for holder in (entry, attributes if isinstance(attributes, dict) else {}):
        for key in TRACK_IDS:
            if key in holder:
                return int(value_of(holder, key, int, where))
    return None


def _track_id(entry: Row, where: str) -> int:
    track = track_of(entry, where)
    if track is None:
        raise ConversionError(
            f'{where} has no track_id (or instance_id), so nobody knows which annotations are one '
            f'object; number the objects of each video.'
        )
    return track


def _video(
    video: Any,
    images: Sequence[Row],
    tracks: Mapping[int, Mapping[int, Row]],
    names: Mapping[int, str],
    listed: Mapping[Any, Any],
    fill_boxes: bool,
    source: str,
) -> TrackedVideo:
    height, width = images[0]['height'], images[0]['width']
    for image in images:
        if (image['height'], image['width']) != (height, width):
            raise ConversionError(
                f'{source}: image {image["id"]} is {image["height"]} x {image["width"]}, but the '
                f'first image '
                f'of its '
                f'video is {height} x {width} (height x width).'
            )
    objects = [
        _object(
            track,
            entries,
            names,
            (height, width),
            fill_boxes,
            f'{source}: video {video}, object {track}',
        )
        for track, entries in sorted(tracks.items())
    ]
    file_names = [image['file_name'] for image in images]
    name = listed.get(video)
    own_name = isinstance(name, str) and name != PurePosixPath(file_names[0]).parent.name
    return TrackedVideo(
        file_names,
        height,
        width,
        objects,
        video if isinstance(video, int) else None,
        name if own_name else None,
    )


def _object(
    track: int,
    entries: Mapping[int, Row],
    names: Mapping[int, str],
    size: tuple[int, int],
    fill_boxes: bool,
    where: str,
) -> TrackedObject:
    masks: dict[int, Any] = {}
    boxes: dict[int, Any] = {}
    areas: dict[int, Any] = {}
    first = entries[min(entries)]
    for t, entry in sorted(entries.items()):
        place = f'{where}, annotation {entry["id"]}'
        if value_of(entry, 'category_id', int, place) not in names:
            raise ConversionError(
                f'{place} has the category {entry["category_id"]}, which the file does not list.'
            )
        for key in ('category_id', 'iscrowd'):
            if entry.get(key, 0) != first.get(key, 0):
                remedy = ''
                if key == 'iscrowd':
                    remedy = ' (CVAT marks every brush mask as a crowd: --ignore-iscrowd)'
                raise ConversionError(
                    f'{place} has the {key} {entry.get(key, 0)}, but annotation {first["id"]} of '
                    f'the same object has {first.get(key, 0)}; an object has one in all '
                    f'frames{remedy}.'
                )
        if entry.get('bbox') is not None:
            boxes[t] = check_box(entry['bbox'], *size, place)
        if entry.get('area') is not None:
            areas[t] = value_of(entry, 'area', (int, float), place)
            fault = area_fault(areas[t])
            if fault is not None:
                raise ConversionError(f'{place}: {fault}.')
        masks[t] = _mask(entry, boxes.get(t), fill_boxes, place)
        check_mask(masks[t], *size, place)
    return TrackedObject(
        track, names[first['category_id']], masks, boxes, areas, bool(first.get('iscrowd', 0))
    )


def _mask(entry: Row, box: Sequence[float] | None, fill_boxes: bool, where: str) -> Any:
    mask = entry.get('segmentation')
    if mask:
        return mask
    if not fill_boxes or box is None:
        raise ConversionError(
            f'{where} has no segmentation'
            + ('.' if fill_boxes else '; --fill-boxes takes the filled box for the mask.')
        )
    x, y, w, h = box
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def to_coco(source: AnnotationFile, notes: Notes) -> dict[str, Any]:
    """The content of the COCO file; images and annotations are numbered from 1."""
    category_id = {category['name']: category['id'] for category in source.categories}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video in with_bar(source.videos, 'converting'):
        first = len(images) + 1
        images += [
            {
                'id': first + t,
                'file_name': name,
                'height': video.height,
                'width': video.width,
                'video_id': video.id,
                'frame_id': t,
            }
            for t, name in enumerate(video.file_names)
        ]
        for item in video.objects:
            rows = described(item, video, notes)
            if not rows:
                notes.add(
                    'objects that no frame shows are left out',
                    f'video {video.folder}, object {item.id}',
                )
            for t, (mask, box, area) in rows.items():
                annotations.append(
                    {
                        'id': len(annotations) + 1,
                        'image_id': first + t,
                        'video_id': video.id,
                        'category_id': category_id[item.category],
                        'track_id': item.id,
                        'instance_id': item.id,
                        'segmentation': mask,
                        'bbox': box,
                        'area': area,
                        'iscrowd': int(item.crowd),
                    }
                )
                if item.score is not None:
                    annotations[-1]['score'] = item.score
        if video.void:
            notes.add('videos have void pixels, which COCO cannot say', f'video {video.folder}')
    videos = [{'id': video.id, 'name': video.name or video.folder} for video in source.videos]
    return {
        'info': {'description': 'converted from YouTube-VIS'},
        'licenses': [],
        'videos': videos,
        'images': images,
        'categories': list(source.categories),
        'annotations': annotations,
    }


def write(path: Path, source: AnnotationFile, notes: Notes) -> None:
    """Write a COCO file, and say what is in it."""
    data = to_coco(source, notes)
    write_json(path, data)
    print(
        f'{path}: {len(data["videos"])} videos, {len(data["images"])} images, '
        f'{len(data["annotations"])} annotations'
    )
