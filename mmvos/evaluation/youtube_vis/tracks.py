"""Ground truth and results of video instance segmentation as checked tracks (schema: Yang et al.,
ICCV 2019).

A track is one object in one video: a mask or None per frame, kept as compressed RLE. Everything
that comes from a file is checked here, once; what is wrong is named with its place. Masks are never
decoded to pixels, except polygons and run lengths with empty runs. Letters: L frames of a video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from tqdm import tqdm

from mmvos.io.rle import RunLengthError, measure_run_lengths

from ..input_error import EvaluationInputError

LARGEST_SIDE = 1 << 14  # pycocotools writes past its buffer for runs of 2**29 pixels


@dataclass(frozen=True)
class Video:
    """One video of the ground truth: sides in pixels and number of frames."""

    id: int
    height: int
    width: int
    length: int


@dataclass(frozen=True)
class Track:
    """One object in one video.

    `masks`: L entries, pycocotools RLE dict with bytes, or None. `areas` (L,) int64 pixels.
    `mean_area` pixels, over the frames where it is not 0 (of a ground truth: as its file says).
    `score` is 1 for ground truth.
    """

    video_id: int
    category_id: int
    score: float
    masks: tuple[dict[str, Any] | None, ...]
    areas: NDArray[np.int64]
    mean_area: float
    crowd: bool = False


@dataclass(frozen=True)
class GroundTruth:
    """A checked annotation file: `categories` id -> name in rising order of ids, `videos` by id,
    `tracks` by annotation id.
    """

    categories: dict[int, str]
    videos: dict[int, Video]
    tracks: tuple[Track, ...]


def has_annotations(ground_truth: dict[str, Any]) -> bool:
    """Whether the file says where the objects are; the published validation and test files do
    not.
    """
    return bool(ground_truth.get('annotations'))


def check_ground_truth(data: Any, source: str = 'the ground truth') -> GroundTruth:
    """Check an annotation file in the YouTube-VIS schema (2019, 2021, OVIS, own classes).

    Args:
        data: the parsed JSON; it is not changed. source: the file's name, for messages.
    Raises:
        EvaluationInputError: at the first defect.
    """
    for key in ('videos', 'categories'):
        if not isinstance(data, dict) or not isinstance(data.get(key), list) or not data[key]:
            raise EvaluationInputError(
                f'{source} has no list "{key}": it is no annotation file in YouTube-VIS format.'
            )
    if not has_annotations(data):
        raise EvaluationInputError(
            f'{source} has no annotations (published validation and test files have none), so '
            f'nothing '
            'can be scored: give a file with annotations, e.g. a held-out part of the training '
            'file.'
        )
    categories = _check_categories(data['categories'], source)
    videos = _check_videos(data['videos'], source)
    if not isinstance(data['annotations'], list):
        raise EvaluationInputError(
            f'{source}: "annotations" is no list; write one entry per object.'
        )
    by_id: dict[int, Track] = {}
    for place, annotation in enumerate(data['annotations']):
        number = _field(annotation, 'id', int, f'{source}: annotation at position {place}')
        where = f'{source}: annotation {number}'
        if number in by_id:
            raise EvaluationInputError(f'{where} stands twice; give every object its own id.')
        by_id[number] = _truth_track(annotation, videos, categories, where)
    return GroundTruth(categories, videos, tuple(by_id[number] for number in sorted(by_id)))


def check_results(
    results: Any, ground_truth: GroundTruth, source: str = 'the results'
) -> tuple[Track, ...]:
    """Check a results list (the official schema) against its ground truth; an empty list is valid.

    Returns:
        The tracks in an order that does not depend on the order of the list: by video, category,
            falling
        score, masks.
    Raises:
        EvaluationInputError: at the first defect, with the entry's place in the list.
    """
    if not isinstance(results, list):
        raise EvaluationInputError(
            f'{source} is no list; results are a list with one entry per predicted object.'
        )
    tracks = []
    for place, entry in enumerate(tqdm(results, 'checking results', delay=2, leave=False)):
        where = f'{source}: entry {place}'
        video, category = _video_and_category(
            entry, ground_truth.videos, ground_truth.categories, where
        )
        score = _field(entry, 'score', (int, float), where)
        if not _is_number(score):
            raise EvaluationInputError(
                f'{where} (video {video.id}) has the score {_short(score)}; scores must be finite '
                f'numbers.'
            )
        where = f'{where} (video {video.id})'
        masks, areas = check_masks(entry.get('segmentations'), video, where)
        tracks.append(Track(video.id, category, float(score), masks, areas, _mean_of_seen(areas)))
    return tuple(sorted(tracks, key=_order))


def check_masks(
    masks: Any, video: Video, where: str
) -> tuple[tuple[dict[str, Any] | None, ...], NDArray[np.int64]]:
    """Check one object's masks and bring them to compressed RLE.

    Args:
        masks: L entries, each compressed or uncompressed RLE, a list of polygons, or None (or [])
            where absent.
    Returns:
        L pycocotools RLE dicts or None; (L,) int64 areas in pixels.
    """
    if not isinstance(masks, list):
        raise EvaluationInputError(
            f'{where} has no list "segmentations"; write one entry per frame of the video.'
        )
    if len(masks) != video.length:
        raise EvaluationInputError(
            f'{where} has {len(masks)} segmentations but video {video.id} has {video.length} '
            f'frames; '
            'write one entry per frame, null where the object is absent.'
        )
    seen = [frame for frame, mask in enumerate(masks) if mask is not None and mask != []]
    strings = [_compressed(masks[frame], video, f'{where}, frame {frame}') for frame in seen]
    areas = np.zeros(video.length, np.int64)
    if not seen:
        return (None,) * video.length, areas
    try:
        areas[seen] = measure_run_lengths(strings, video.height, video.width)
    except RunLengthError as error:
        raise EvaluationInputError(
            f'{where}, frame {seen[error.index]}: the RLE {error}; write the file again.'
        ) from None
    checked: list[dict[str, Any] | None] = [None] * video.length
    for frame, string in zip(seen, strings, strict=True):
        checked[frame] = {'size': [video.height, video.width], 'counts': string}
    return tuple(checked), areas


def _truth_track(
    annotation: dict[str, Any], videos: dict[int, Video], categories: dict[int, str], where: str
) -> Track:
    video, category = _video_and_category(annotation, videos, categories, where)
    masks, areas = check_masks(annotation.get('segmentations'), video, where)
    stated = annotation.get('areas')
    mean_area = _mean_of_seen(areas)
    if stated is not None:
        if not isinstance(stated, list) or len(stated) != video.length:
            raise EvaluationInputError(
                f'{where}: "areas" must have one entry per frame ({video.length}), null where '
                f'absent.'
            )
        if not all(area is None or (_is_number(area) and area >= 0) for area in stated):
            raise EvaluationInputError(
                f'{where}: "areas" holds something other than finite numbers of pixels and null.'
            )
        mean_area = _mean_of_seen(np.array([area or 0 for area in stated], np.float64))
    crowd = annotation.get('iscrowd', 0)
    if crowd not in (0, 1):
        raise EvaluationInputError(f'{where}: "iscrowd" is {crowd!r}; write 0 or 1.')
    return Track(video.id, category, 1.0, masks, areas, mean_area, bool(crowd))


def _check_categories(entries: list[Any], source: str) -> dict[int, str]:
    categories: dict[int, str] = {}
    for place, entry in enumerate(entries):
        where = f'{source}: category at position {place}'
        number, name = _field(entry, 'id', int, where), _field(entry, 'name', str, where)
        if number in categories or name in categories.values():
            raise EvaluationInputError(
                f'{where} repeats the id {number} or the name "{name}"; both must be unique.'
            )
        categories[number] = name
    return dict(sorted(categories.items()))


def _check_videos(entries: list[Any], source: str) -> dict[int, Video]:
    videos: dict[int, Video] = {}
    for place, entry in enumerate(entries):
        where = f'{source}: video at position {place}'
        number = _field(entry, 'id', int, where)
        where = f'{source}: video {number}'
        height, width = (_field(entry, side, int, where) for side in ('height', 'width'))
        if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
            raise EvaluationInputError(
                f'{where} has the size {height} x {width}; sides are 1 to {LARGEST_SIDE} pixels.'
            )
        names = entry.get('file_names')
        frames = len(names) if isinstance(names, list) else None
        length = entry.get('length', frames)
        counted = isinstance(length, int) and not isinstance(length, bool) and length > 0
        if not counted or frames not in (None, length):
            raise EvaluationInputError(
                f'{where} has the length {length!r} and {frames} file names; write the number of '
                f'frames.'
            )
        if number in videos:
            raise EvaluationInputError(f'{where} stands twice; give every video its own id.')
        videos[number] = Video(number, height, width, length)
    return videos


def _video_and_category(
    entry: Any, videos: dict[int, Video], categories: dict[int, str], where: str
) -> tuple[Video, int]:
    video, category = (
        _field(entry, 'video_id', int, where),
        _field(entry, 'category_id', int, where),
    )
    if video not in videos:
        raise EvaluationInputError(
            f'{where} belongs to video {video}, which the ground truth does not list; '
            'use results and ground truth of the same split.'
        )
    if category not in categories:
        raise EvaluationInputError(
            f'{where} (video {video}) has category {category}, which the ground truth does not '
            f'list; '
            'use the category ids of the ground-truth file.'
        )
    return videos[video], category


def _compressed(mask: Any, video: Video, where: str) -> bytes:
    """The counts of one frame's mask as a compressed string; only what pycocotools would stumble
    over is checked.
    """
    if isinstance(mask, list):
        return _from_polygons(mask, video, where)
    size, counts = (
        (mask.get('size'), mask.get('counts')) if isinstance(mask, dict) else (None, None)
    )
    if not isinstance(size, (list, tuple)) or not isinstance(counts, (str, bytes, list)):
        raise EvaluationInputError(
            f'{where}: the mask is neither RLE ("size", "counts"), a list of polygons nor null.'
        )
    if list(size) != [video.height, video.width]:
        raise EvaluationInputError(
            f'{where}: the RLE has the size {list(size)} but video {video.id} is {video.height} x '
            f'{video.width} (height x width); write masks at the size of the video.'
        )
    if isinstance(counts, list):
        pixels = video.height * video.width
        if (
            not all(type(run) is int and 0 <= run <= pixels for run in counts)
            or sum(counts) != pixels
        ):
            raise EvaluationInputError(
                f'{where}: "counts" is no list of run lengths that cover the {video.height} x '
                f'{video.width} pixels of the frame; write the file again.'
            )
        return bytes(coco_mask.frPyObjects({'size': list(size), 'counts': counts}, *size)['counts'])
    return counts if isinstance(counts, bytes) else counts.encode('utf-8', 'replace')


def _from_polygons(polygons: list[Any], video: Video, where: str) -> bytes:
    reach = 4 * max(
        video.height,
        # pycocotools needs memory in proportion to the length of the outline
        video.width,
    )
    for polygon in polygons:
        if (
            not isinstance(polygon, list)
            or len(polygon) < 6
            or len(polygon) % 2
            or not all(_is_number(value) and abs(value) <= reach for value in polygon)
        ):
            raise EvaluationInputError(
                f'{where}: a polygon is no list of at least 3 points [x0, y0, x1, y1, ...] in or '
                f'near the '
                'image; correct it or write RLE.'
            )
    parts = coco_mask.frPyObjects(
        [[float(value) for value in polygon] for polygon in polygons], video.height, video.width
    )
    return bytes(coco_mask.merge(parts)['counts'])


def _field(entry: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise EvaluationInputError(
            f'{where}: "{key}" is {_short(value)}; see the results and annotation schema in '
            'docs/evaluation.md.'
        )
    return value


def _short(value: Any) -> str:
    return 'missing' if value is None else repr(value)[:40]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _mean_of_seen(areas: NDArray[Any]) -> float:
    return float(areas[areas > 0].mean()) if (areas > 0).any() else 0.0


def _order(track: Track) -> tuple[Any, ...]:
    return (
        track.video_id,
        track.category_id,
        -track.score,
        [mask['counts'] if mask else b'' for mask in track.masks],
    )
