"""YouTube-VIS annotation files as ``TrackedVideo``s: the side that all converters have in common.

Written are videos (id, width, height, length, file_names; name and void where the source has them)
and annotations (id, object_id, video_id, category_id, iscrowd, segmentations, bboxes, areas).
``object_id`` is the source's own id of the object; it is also the annotation's id where all ids of
the file are different and above 0, else annotations are numbered from 1. Read are ground truth, or
a results file together with the annotation file that lists its videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from mmvos.convert.annotation_model import (
    ConversionError,
    Notes,
    TrackedObject,
    TrackedVideo,
    as_rle,
    check_box,
    stored,
    value_of,
)
from mmvos.evaluation.youtube_vis import GroundTruth, check_results, read_results
from mmvos.io.atomic import write_json
from mmvos.io.progress_bar import with_bar
from mmvos.io.rle import areas_of
from mmvos.io.youtube_vis import (
    MAX_ID,
    Video,
    annotation_fault,
    areas_fault,
    category_names,
    check_parts,
    compress_masks,
    is_absent,
    per_frame_fault,
    video_problems,
)


@dataclass(frozen=True)
class AnnotationFile:
    """``videos`` in the file's order, and its ``categories`` (dicts with id and name)."""

    source: str
    videos: Sequence[TrackedVideo]
    categories: Sequence[Mapping[str, Any]]


def read_videos(path: Path, results: Path | None = None, min_score: float = 0.0) -> AnnotationFile:
    """Reads and checks an annotation file.

    Args:
        path: the file; or a results file, whose videos are called video_ID, their frames 00000.jpg,
            ... and its classes class_ID.
        results: a results file, whose entries become the objects; an object's id is then its place
            among the entries of its video. min_score: entries below it are left out.
    Raises:
        ConversionError, EvaluationInputError: at the first fault, with its place.
    """
    data = read_results(path)  # reads any JSON, and zips
    if isinstance(data, list):
        data, results = _listed_videos(data, str(path)), path
    data = check_parts(data, path)
    names = category_names(data['categories'], path)
    for _, sentence in video_problems(data['videos']):
        raise ConversionError(f'{path}: {sentence}.')
    frames = {
        entry['id']: Video(entry['id'], entry['height'], entry['width'], len(entry['file_names']))
        for entry in data['videos']
    }
    objects = (
        _truth_objects(data, str(path), frames, names)
        if results is None
        else _result_objects(results, GroundTruth(names, frames, ()), min_score)
    )
    by_video: dict[int, list[TrackedObject]] = {}
    for video_id, item in objects:
        by_video.setdefault(video_id, []).append(item)
    videos = [
        TrackedVideo(
            entry['file_names'],
            entry['height'],
            entry['width'],
            by_video.get(entry['id'], []),
            entry['id'],
            _name(entry),
            _void(entry, frames[entry['id']], str(path)),
        )
        for entry in data['videos']
    ]
    return AnnotationFile(str(results or path), videos, data['categories'])


def write_videos(
    path: Path,
    videos: Sequence[TrackedVideo],
    categories: Sequence[Mapping[str, Any]],
    description: str,
    notes: Notes,
) -> None:
    """Writes an annotation file.

    Args:
        videos: their ids are kept where they are all there and different, else videos are numbered
            from 1.
        categories: dicts with id and name; every object's category is among them.
        notes: takes the masks without a pixel, which are left out, and a file without objects.
    """
    ids = [video.id for video in videos]
    if None in ids or len(set(ids)) < len(ids):
        ids = list(range(1, len(ids) + 1))
    numbers = [item.id for video in videos for item in video.objects]
    keep = len(set(numbers)) == len(numbers) and all(0 < number <= MAX_ID for number in numbers)
    category_id = {category['name']: category['id'] for category in categories}
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video_id, video in zip(ids, with_bar(videos, 'writing'), strict=True):
        size = {'height': video.height, 'width': video.width, 'length': len(video.file_names)}
        entry: dict[str, Any] = {'id': video_id, **size, 'file_names': list(video.file_names)}
        if video.name is not None:
            entry['name'] = video.name
        if video.void:
            entry['void'] = _per_frame(
                {t: _json_mask(mask, video) for t, mask in video.void.items()}, video
            )
        entries.append(entry)
        for item in video.objects:
            number = item.id if keep else len(annotations) + 1
            annotations.append(
                {
                    'id': number,
                    'object_id': item.id,
                    'video_id': video_id,
                    'category_id': category_id[item.category],
                    'iscrowd': int(item.crowd),
                    **size,
                    **_lists(item, video, notes),
                }
            )
    if not annotations:
        notes.add(
            'file without objects, which serves for tests only: mmvos check --test', str(path)
        )
    data = {
        'info': {'description': description},
        'licenses': [],
        'videos': entries,
        'categories': list(categories),
        'annotations': annotations,
    }
    write_json(path, data)
    print(
        f'{path}: {len(entries)} videos, {sum(len(video.file_names) for video in videos)} frames, '
        f'{len(annotations)} objects, {len(categories)} classes'
    )


def visible(item: TrackedObject, video: TrackedVideo, notes: Notes) -> dict[int, dict[str, Any]]:
    """frame -> pycocotools run lengths of the masks that have a pixel; the others go to the
    notes.
    """
    rles = {t: as_rle(mask, video.height, video.width) for t, mask in sorted(item.masks.items())}
    shown = {}
    for (t, rle), area in zip(rles.items(), areas_of(rles.values()), strict=True):
        if area:
            shown[t] = rle
        else:
            notes.add(
                'masks without a pixel are left out',
                f'video {video.folder}, object {item.id}, frame {t}',
            )
    return shown


def described(
    item: TrackedObject, video: TrackedVideo, notes: Notes
) -> dict[int, tuple[Any, list[float], float]]:
    """frame -> (mask for a JSON file, box (x, y, w, h), area) of the frames that show the object;
    polygons stay polygons.
    """
    rles = visible(item, video, notes)
    if not rles:
        return {}
    boxes = coco_mask.toBbox(list(rles.values())).tolist()
    areas = areas_of(rles.values())
    return {
        t: (
            item.masks[t] if isinstance(item.masks[t], list) else stored(rles[t]),
            list(item.boxes.get(t, box)),
            item.areas.get(t, area),
        )
        for t, box, area in zip(rles, boxes, areas, strict=True)
    }


def _lists(item: TrackedObject, video: TrackedVideo, notes: Notes) -> dict[str, list[Any]]:
    rows = described(item, video, notes)
    if not rows:
        notes.add('objects are visible in no frame', f'video {video.folder}, object {item.id}')
    return {
        key: _per_frame({t: row[place] for t, row in rows.items()}, video)
        for place, key in enumerate(('segmentations', 'bboxes', 'areas'))
    }


def _per_frame(values: Mapping[int, Any], video: TrackedVideo) -> list[Any]:
    return [values.get(t) for t in range(len(video.file_names))]


def _json_mask(mask: Any, video: TrackedVideo) -> Any:
    return mask if isinstance(mask, list) else stored(as_rle(mask, video.height, video.width))


def _listed_videos(entries: list[Any], source: str) -> dict[str, Any]:
    """Videos and categories of a results file, as far as it says them: ids, sizes and lengths."""
    videos: dict[int, dict[str, Any]] = {}
    categories: set[int] = set()
    for place, entry in enumerate(entries):
        where = f'{source}: entry {place}'
        number = value_of(entry, 'video_id', int, where)
        categories.add(value_of(entry, 'category_id', int, where))
        masks = value_of(entry, 'segmentations', list, where)
        size = next(
            (
                mask['size']
                for mask in masks
                if isinstance(mask, dict) and isinstance(mask.get('size'), list)
            ),
            None,
        )
        if size is not None and len(size) == 2:
            names = [f'video_{number}/{t:05d}.jpg' for t in range(len(masks))]
            videos.setdefault(
                number, {'id': number, 'height': size[0], 'width': size[1], 'file_names': names}
            )
    if not videos:
        raise ConversionError(
            f'{source} has no result with a mask, so nothing is known of its videos; give an '
            f'annotation file, '
            f'and '
            'this one with --results.'
        )
    return {
        'videos': list(videos.values()),
        'categories': [{'id': number, 'name': f'class_{number}'} for number in sorted(categories)],
    }


def _truth_objects(
    data: Mapping[str, Any], source: str, videos: Mapping[int, Video], categories: Mapping[int, str]
) -> Iterator[tuple[int, TrackedObject]]:
    """Yields (video id, object) by rising annotation id."""
    if not isinstance(data.get('annotations'), list):
        raise ConversionError(
            f'{source} has no annotations (published validation and test files have none); give a '
            f'file with '
            'annotations, or results with --results.'
        )
    by_id: dict[int, tuple[int, TrackedObject]] = {}
    taken: set[tuple[int, int]] = set()
    for place, entry in enumerate(with_bar(data['annotations'], 'reading')):
        fault = annotation_fault(entry, by_id, videos, categories)
        if fault is not None:
            number = entry.get('id', f'at position {place}')
            raise ConversionError(f'{source}: annotation {number}: {fault}.')
        number = entry['id']
        where = f'{source}: annotation {number}'
        video = videos[entry['video_id']]
        category = categories[entry['category_id']]
        object_id = entry.get('object_id', number)
        if type(object_id) is not int or (video.id, object_id) in taken:
            raise ConversionError(
                f'{where} has the object id {object_id!r:.40}; the objects of a video have '
                f'different numbers.'
            )
        taken.add((video.id, object_id))
        masks = _masks(entry.get('segmentations'), video, where)
        boxes = _stated_boxes(entry, video, where)
        areas = _stated_areas(entry, video, where)
        by_id[number] = (
            video.id,
            TrackedObject(
                object_id,
                category,
                masks,
                boxes,
                areas,
                bool(entry.get('iscrowd')),
                numbered='object_id' not in entry,
            ),
        )
    yield from (by_id[number] for number in sorted(by_id))


def _result_objects(
    results: Path, truth: GroundTruth, min_score: float
) -> Iterator[tuple[int, TrackedObject]]:
    entries = read_results(results)
    check_results(entries, truth, str(results))
    places: dict[int, int] = {}
    for place, entry in enumerate(entries):
        if entry['score'] >= min_score:
            video = truth.videos[entry['video_id']]
            places[video.id] = places.get(video.id, 0) + 1
            masks = _masks(entry['segmentations'], video, f'{results}: entry {place}')
            yield (
                video.id,
                TrackedObject(
                    places[video.id],
                    truth.categories[entry['category_id']],
                    masks,
                    score=entry['score'],
                    numbered=True,
                ),
            )


def _masks(given: Any, video: Video, where: str) -> dict[int, Any]:
    checked, _ = compress_masks(given, video, where)
    return {
        t: given[t] if isinstance(given[t], list) else stored(mask)
        for t, mask in enumerate(checked)
        if mask is not None
    }


def _stated_boxes(entry: Mapping[str, Any], video: Video, where: str) -> dict[int, list[float]]:
    """Frame -> box (x, y, w, h), where the file states it."""
    if entry.get('bboxes') is None:
        return {}
    fault = per_frame_fault(entry, 'bboxes', video.length)
    if fault is not None:
        raise ConversionError(f'{where}: {fault}.')
    boxes: dict[int, list[float]] = {}
    for t, box in enumerate(entry['bboxes']):
        if not is_absent(box):
            boxes[t] = check_box(box, video.height, video.width, f'{where}, frame {t}')
    return boxes


def _stated_areas(entry: Mapping[str, Any], video: Video, where: str) -> dict[int, float]:
    """Frame -> area in pixels, where the file states it."""
    fault = areas_fault(entry, video.length)
    if fault is not None:
        raise ConversionError(f'{where}: {fault}.')
    areas = entry.get('areas') or ()
    return {t: area for t, area in enumerate(areas) if area is not None}


def _name(entry: Mapping[str, Any]) -> str | None:
    return entry['name'] if isinstance(entry.get('name'), str) else None


def _void(entry: Mapping[str, Any], video: Video, source: str) -> dict[int, Any]:
    return (
        {}
        if entry.get('void') is None
        else _masks(entry['void'], video, f'{source}: video {video.id}, void')
    )
