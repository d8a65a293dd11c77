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
    """Read and check an annotation file.

    Args:
        path: the file; or a results file, whose videos are called video_ID, their frames 00000.jpg,
            ... and its classes class_ID.
        results: a results file, whose entries become the objects; an object's id is then its place
            among the entries of its video.
        min_score: entries of the results below it are left out.

    Raises:
        ConversionError, EvaluationInputError: at the first fault, with its place.
    """
    data = read_results(path)  # reads any JSON, and zips
    if isinstance(data, list):
        # A results file alone: what it says of the videos.
        data = _listed_videos(data, str(path))
        results = path
    data = check_parts(data, path)
    names = category_names(data['categories'], path)
    for _, sentence in video_problems(data['videos']):
        raise ConversionError(f'{path}: {sentence}.')
    frames = {}
    for entry in data['videos']:
        number = entry['id']
        length = len(entry['file_names'])
        frames[number] = Video(number, entry['height'], entry['width'], length)

    # The objects of each video, from the annotations or from the results.
    if results is None:
        objects = _truth_objects(data, str(path), frames, names)
    else:
        objects = _result_objects(results, GroundTruth(names, frames, ()), min_score)
    by_video: dict[int, list[TrackedObject]] = {}
    for video_id, item in objects:
        by_video.setdefault(video_id, []).append(item)

    videos = []
    for entry in data['videos']:
        number = entry['id']
        videos.append(
            TrackedVideo(
                entry['file_names'],
                entry['height'],
                entry['width'],
                by_video.get(number, []),
                number,
                _name(entry),
                _void(entry, frames[number], str(path)),
            )
        )
    return AnnotationFile(str(results or path), videos, data['categories'])


def write_videos(
    path: Path,
    videos: Sequence[TrackedVideo],
    categories: Sequence[Mapping[str, Any]],
    description: str,
    notes: Notes,
) -> None:
    """Write an annotation file.

    Args:
        path: of the file.
        videos: their ids are kept where they are all there and different, else videos are numbered
            from 1.
        categories: dicts with id and name; every object's category is among them.
        description: for info.description.
        notes: takes the masks without a pixel, which are left out, and a file without objects.
    """
    # Ids are kept where they can be.
    ids = [video.id for video in videos]
    if None in ids or len(set(ids)) < len(ids):
        ids = list(range(1, len(ids) + 1))
    numbers = [item.id for video in videos for item in video.objects]
    are_different = len(set(numbers)) == len(numbers)
    keeps_numbers = are_different and all(0 < number <= MAX_ID for number in numbers)
    category_id = {category['name']: category['id'] for category in categories}

    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video_id, video in zip(ids, with_bar(videos, 'writing'), strict=True):
        size = {'height': video.height, 'width': video.width, 'length': len(video.file_names)}
        entry: dict[str, Any] = {'id': video_id, **size, 'file_names': list(video.file_names)}
        if video.name is not None:
            entry['name'] = video.name
        if video.void:
            void = {t: _json_mask(mask, video) for t, mask in video.void.items()}
            entry['void'] = _per_frame(void, video)
        entries.append(entry)
        for item in video.objects:
            annotations.append(
                {
                    'id': item.id if keeps_numbers else len(annotations) + 1,
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
    frames = sum(len(video.file_names) for video in videos)
    print(
        f'{path}: {len(entries)} videos, {frames} frames, {len(annotations)} objects, '
        f'{len(categories)} classes'
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
    """Describe an object in the frames that show it; polygons stay polygons.

    Args:
        item: the object.
        video: that it is in.
        notes: takes what is left out.

    Returns:
        frame -> (mask for a JSON file, box (x, y, w, h), area).
    """
    rles = visible(item, video, notes)
    if not rles:
        return {}
    # What is not written is measured.
    boxes = coco_mask.toBbox(list(rles.values())).tolist()
    areas = areas_of(rles.values())
    rows = {}
    for (t, rle), box, area in zip(rles.items(), boxes, areas, strict=True):
        mask = item.masks[t]
        if not isinstance(mask, list):
            mask = stored(rle)
        rows[t] = (mask, list(item.boxes.get(t, box)), item.areas.get(t, area))
    return rows


def _lists(item: TrackedObject, video: TrackedVideo, notes: Notes) -> dict[str, list[Any]]:
    """The lists of an annotation, with an entry or None for each frame."""
    rows = described(item, video, notes)
    if not rows:
        notes.add('objects are visible in no frame', f'video {video.folder}, object {item.id}')
    masks = {t: mask for t, (mask, _, _) in rows.items()}
    boxes = {t: box for t, (_, box, _) in rows.items()}
    areas = {t: area for t, (_, _, area) in rows.items()}
    return {
        'segmentations': _per_frame(masks, video),
        'bboxes': _per_frame(boxes, video),
        'areas': _per_frame(areas, video),
    }


def _per_frame(values: Mapping[int, Any], video: TrackedVideo) -> list[Any]:
    return [values.get(t) for t in range(len(video.file_names))]


def _json_mask(mask: Any, video: TrackedVideo) -> Any:
    return mask if isinstance(mask, list) else stored(as_rle(mask, video.height, video.width))


def _listed_videos(entries: list[Any], source: str) -> dict[str, Any]:
    """Videos and categories of a results file, as far as it says them: ids, sizes and lengths."""
    videos: dict[int, dict[str, Any]] = {}
    category_ids: set[int] = set()
    for place, entry in enumerate(entries):
        where = f'{source}: entry {place}'
        number = value_of(entry, 'video_id', int, where)
        category_ids.add(value_of(entry, 'category_id', int, where))
        masks = value_of(entry, 'segmentations', list, where)
        size = _size_of_first(masks)
        if size is not None and len(size) == 2:
            height, width = size
            names = [f'video_{number}/{t:05d}.jpg' for t in range(len(masks))]
            video = {'id': number, 'height': height, 'width': width, 'file_names': names}
            videos.setdefault(number, video)
    if not videos:
        raise ConversionError(
            f'{source} has no result with a mask, so nothing is known of its videos; give an '
            'annotation file, and this one with --results.'
        )
    categories = []
    for number in sorted(category_ids):
        categories.append({'id': number, 'name': f'class_{number}'})
    return {'videos': list(videos.values()), 'categories': categories}


def _size_of_first(masks: Sequence[Any]) -> list[Any] | None:
    """Return the size of the first mask in run lengths."""
    for mask in masks:
        if isinstance(mask, dict) and isinstance(mask.get('size'), list):
            return mask['size']
    return None


def _truth_objects(
    data: Mapping[str, Any], source: str, videos: Mapping[int, Video], categories: Mapping[int, str]
) -> Iterator[tuple[int, TrackedObject]]:
    """Yield (video id, object) by rising annotation id."""
    if not isinstance(data.get('annotations'), list):
        raise ConversionError(
            f'{source} has no annotations (published validation and test files have none); give a '
            'file with annotations, or results with --results.'
        )
    by_id: dict[int, tuple[int, TrackedObject]] = {}
    taken: set[tuple[int, int]] = set()
    for place, entry in enumerate(with_bar(data['annotations'], 'reading')):
        fault = annotation_fault(entry, by_id, videos, categories)
        if fault is not None:
            name = entry.get('id', f'at position {place}')
            raise ConversionError(f'{source}: annotation {name}: {fault}.')
        number = entry['id']
        where = f'{source}: annotation {number}'
        video = videos[entry['video_id']]

        # Within its video an object has a number of its own, if not written that of its annotation.
        object_id = entry.get('object_id', number)
        if type(object_id) is not int or (video.id, object_id) in taken:
            raise ConversionError(
                f'{where} has the object id {object_id!r:.40}; the objects of a video have '
                f'different numbers.'
            )
        taken.add((video.id, object_id))
        item = TrackedObject(
            object_id,
            categories[entry['category_id']],
            _masks(entry.get('segmentations'), video, where),
            _stated_boxes(entry, video, where),
            _stated_areas(entry, video, where),
            bool(entry.get('iscrowd')),
            numbered='object_id' not in entry,
        )
        by_id[number] = (video.id, item)
    for number in sorted(by_id):
        yield by_id[number]


def _result_objects(
    results: Path, truth: GroundTruth, min_score: float
) -> Iterator[tuple[int, TrackedObject]]:
    """Yield (video id, object) of the results, numbered in their order within each video."""
    entries = read_results(results)
    check_results(entries, truth, str(results))
    counts: dict[int, int] = {}
    for place, entry in enumerate(entries):
        if entry['score'] < min_score:
            continue
        video = truth.videos[entry['video_id']]
        counts[video.id] = counts.get(video.id, 0) + 1
        item = TrackedObject(
            counts[video.id],
            truth.categories[entry['category_id']],
            _masks(entry['segmentations'], video, f'{results}: entry {place}'),
            score=entry['score'],
            numbered=True,
        )
        yield video.id, item


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
    stated = {}
    for t, area in enumerate(entry.get('areas') or ()):
        if area is not None:
            stated[t] = area
    return stated


def _name(entry: Mapping[str, Any]) -> str | None:
    return entry['name'] if isinstance(entry.get('name'), str) else None


def _void(entry: Mapping[str, Any], video: Video, source: str) -> dict[int, Any]:
    """The void pixels of a video by frame, where it has some."""
    if entry.get('void') is None:
        return {}
    return _masks(entry['void'], video, f'{source}: video {video.id}, void')
