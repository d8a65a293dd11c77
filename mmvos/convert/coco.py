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
    """Read the videos and the categories of a COCO file.

    Args:
        path: the file.
        notes: takes what is changed or worth a look.
        fill_boxes: annotations without a mask get their filled box.
        ignore_crowds: ``iscrowd`` is taken for 0.

    Returns:
        The videos, and the categories as they are written.

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
    for entry in rows['annotations']:
        if entry.get('iscrowd'):
            notes.add(
                f'of {len(rows["annotations"])} annotations are crowds (iscrowd 1), which are '
                'neither trained on nor scored; CVAT marks every brush mask so: --ignore-iscrowd '
                'takes them for objects',
                f'{path}: annotation {entry.get("id")}',
            )
    categories = [category if isinstance(category, dict) else {} for category in rows['categories']]
    names = category_names(categories, path)

    # The images of each video, the annotations of each object, and what the videos are called.
    grouped = _frames_of_videos(rows['images'], str(path))
    tracks = _annotations_of_tracks(rows['annotations'], grouped, path)
    listed = {}
    if data.get('videos'):
        for place, row in enumerate(value_of(data, 'videos', list, str(path))):
            number = value_of(row, 'id', int, f'{path}: video at position {place}')
            listed[number] = row.get('name')

    videos = []
    for video, images in grouped.items():
        videos.append(_video(video, images, tracks[video], names, listed, fill_boxes, str(path)))
    return videos, rows['categories']


def _annotations_of_tracks(
    annotations: Sequence[Row], grouped: Mapping[Any, Sequence[Row]], path: Path
) -> dict[Any, dict[int, dict[int, Row]]]:
    """Return video -> object -> frame -> annotation; each annotation stands for one frame."""
    place_of = {}
    for video, images in grouped.items():
        for t, image in enumerate(images):
            place_of[image['id']] = (video, t)

    tracks: dict[Any, dict[int, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    seen: set[int] = set()
    for place, entry in enumerate(with_bar(annotations, 'reading')):
        annotation_id = value_of(entry, 'id', int, f'{path}: annotation at position {place}')
        where = f'{path}: annotation {annotation_id}'
        if annotation_id in seen:
            raise ConversionError(f'{where} stands twice; give every annotation its own id.')
        seen.add(annotation_id)
        image_id = value_of(entry, 'image_id', int, where)
        if image_id not in place_of:
            raise ConversionError(
                f'{where} belongs to image {image_id}, which the file does not list.'
            )
        video, t = place_of[image_id]
        track = _track_id(entry, where)
        if t in tracks[video][track]:
            raise ConversionError(
                f'{where}: object {track} has another annotation in image {image_id}.'
            )
        tracks[video][track][t] = entry
    return tracks


def _frames_of_videos(images: Sequence[Row], source: str) -> dict[Any, list[Row]]:
    """video -> its images in order; the video is an int, or a folder."""
    if not images:
        raise ConversionError(f'{source} lists no image.')

    # A video is what the images say, or else a folder.
    has_videos = 'video_id' in images[0]
    grouped: dict[Any, list[Row]] = defaultdict(list)
    seen: set[int] = set()
    for place, image in enumerate(images):
        number = value_of(image, 'id', int, f'{source}: image at position {place}')
        where = f'{source}: image {number}'
        if number in seen:
            raise ConversionError(f'{where} stands twice; give every image its own id.')
        seen.add(number)
        name = check_name(value_of(image, 'file_name', str, where), where)
        height = value_of(image, 'height', int, where)
        width = value_of(image, 'width', int, where)
        check_size(height, width, where)
        if has_videos:
            video = value_of(image, 'video_id', int, where)
        else:
            video = str(PurePosixPath(name).parent)
        grouped[video].append(image)

    # The order is by a frame number, where images have one, or else by the files' names.
    key = next((key for key in FRAME_NUMBERS if key in images[0]), None)
    for video, frames in grouped.items():
        where = f'{source}: video {video}'
        _check_files_differ(frames, where)
        if key is None:
            grouped[video] = sort_frames(frames, where, lambda image: str(image['file_name']))
        else:
            _sort_by_number(frames, key, source, where)
    return grouped


def _sort_by_number(frames: list[Row], key: str, source: str, where: str) -> None:
    """Sort the images of a video by a number that all have and no two share."""
    frames.sort(key=lambda image: value_of(image, key, int, f'{source}: image {image["id"]}'))
    for one, two in pairwise(frames):
        if one[key] == two[key]:
            raise ConversionError(
                f'{where}: images {one["id"]} and {two["id"]} both have the {key} {one[key]}.'
            )


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
    """Make a video of its images and the annotations of its objects."""
    height = images[0]['height']
    width = images[0]['width']
    for image in images:
        if (image['height'], image['width']) != (height, width):
            raise ConversionError(
                f'{source}: image {image["id"]} is {image["height"]} x {image["width"]}, but the '
                f'first image of its video is {height} x {width} (height x width).'
            )
    objects = []
    for track, entries in sorted(tracks.items()):
        where = f'{source}: video {video}, object {track}'
        objects.append(_object(track, entries, names, (height, width), fill_boxes, where))

    # A name is kept where it says more than the folder.
    file_names = [image['file_name'] for image in images]
    folder = PurePosixPath(file_names[0]).parent.name
    name = listed.get(video)
    if not isinstance(name, str) or name == folder:
        name = None
    video_id = video if isinstance(video, int) else None
    return TrackedVideo(file_names, height, width, objects, video_id, name)


def _object(
    track: int,
    entries: Mapping[int, Row],
    names: Mapping[int, str],
    size: tuple[int, int],
    fill_boxes: bool,
    where: str,
) -> TrackedObject:
    """Make an object of its annotations by frame."""
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
        _check_same(entry, first, place)
        if entry.get('bbox') is not None:
            boxes[t] = check_box(entry['bbox'], *size, place)
        if entry.get('area') is not None:
            areas[t] = value_of(entry, 'area', (int, float), place)
            fault = area_fault(areas[t])
            if fault is not None:
                raise ConversionError(f'{place}: {fault}.')
        masks[t] = _mask(entry, boxes.get(t), fill_boxes, place)
        check_mask(masks[t], *size, place)
    category = names[first['category_id']]
    is_crowd = bool(first.get('iscrowd', 0))
    return TrackedObject(track, category, masks, boxes, areas, is_crowd)


def _check_same(entry: Row, first: Row, place: str) -> None:
    """Refuse an annotation that has another class than the first one of its object."""
    for key in ('category_id', 'iscrowd'):
        own = entry.get(key, 0)
        others = first.get(key, 0)
        if own == others:
            continue
        remedy = ''
        if key == 'iscrowd':
            remedy = ' (CVAT marks every brush mask as a crowd: --ignore-iscrowd)'
        raise ConversionError(
            f'{place} has the {key} {own}, but annotation {first["id"]} of the same object has '
            f'{others}; an object has one in all frames{remedy}.'
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
    """Make the content of a COCO file; images and annotations are numbered from 1.

    Args:
        source: the videos and their classes.
        notes: takes what is left out.
    """
    category_id = {category['name']: category['id'] for category in source.categories}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video in with_bar(source.videos, 'converting'):
        # An image for each frame.
        first = len(images) + 1
        for t, name in enumerate(video.file_names):
            images.append(
                {
                    'id': first + t,
                    'file_name': name,
                    'height': video.height,
                    'width': video.width,
                    'video_id': video.id,
                    'frame_id': t,
                }
            )

        # An annotation for each frame of each object; two keys, as tools look for either.
        for item in video.objects:
            rows = described(item, video, notes)
            if not rows:
                place = f'video {video.folder}, object {item.id}'
                notes.add('objects that no frame shows are left out', place)
            for t, (mask, box, area) in rows.items():
                annotation = {
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
                if item.score is not None:
                    annotation['score'] = item.score
                annotations.append(annotation)
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
    """Write a COCO file, and say what is in it.

    Args:
        path: of the file.
        source: the videos and their classes.
        notes: takes what is left out.
    """
    data = to_coco(source, notes)
    write_json(path, data)
    print(
        f'{path}: {len(data["videos"])} videos, {len(data["images"])} images, '
        f'{len(data["annotations"])} annotations'
    )
