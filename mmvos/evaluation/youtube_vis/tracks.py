"""Ground truth and results of video instance segmentation as checked tracks (schema: Yang et al.,
ICCV 2019).

A track is one object in one video: a mask or None per frame, kept as compressed RLE. What is wrong
in a file is named with its place (``mmvos.io.youtube_vis``); masks are never decoded to pixels.
Letters: L frames of a video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.io.progress_bar import with_bar
from mmvos.io.youtube_vis import (
    Video,
    annotation_fault,
    areas_fault,
    category_names,
    check_parts,
    compress_masks,
    describe_video,
    video_fault,
)


@dataclass(frozen=True)
class Track:
    """One object in one video.

    Attributes:
        video_id: of its video.
        category_id: of its class.
        score: 1 for ground truth.
        masks: L entries, pycocotools RLE dict with bytes, or None.
        areas: (L,) int64 pixels.
        mean_area: pixels, over the frames where it is not 0 (of a ground truth: as its file says).
        crowd: whether a ground truth is a group, which is not scored.
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
    """A checked annotation file.

    Attributes:
        categories: id -> name, in rising order of ids.
        videos: by id.
        tracks: in the order of the annotations' ids.
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
        data: the parsed JSON; it is not changed.
        source: the file's name, for messages.

    Raises:
        DataError: at the first defect.
    """
    if isinstance(data, dict):
        data = dict(data)
    data = check_parts(data, source)
    if not data['videos']:
        raise DataError(f'{source} has no list "videos" with an entry; give a file with videos.')
    if not has_annotations(data):
        raise DataError(
            f'{source} has no annotations (published validation and test files have none), so '
            f'nothing can be scored: give a file with annotations, e.g. a held-out part of the '
            f'training file.'
        )

    names = category_names(data['categories'], source)
    categories = dict(sorted(names.items()))
    videos = _check_videos(data['videos'], source)

    # Tracks in the order of their ids, whatever their order in the file.
    by_id: dict[int, Track] = {}
    for place, annotation in enumerate(data['annotations']):
        fault = annotation_fault(annotation, by_id.keys(), videos.keys(), categories.keys())
        if fault is not None:
            name = annotation.get('id', f'at position {place}')
            raise DataError(f'{source}: annotation {name}: {fault}.')
        number = annotation['id']
        video = videos[annotation['video_id']]
        by_id[number] = _truth_track(annotation, video, f'{source}: annotation {number}')
    tracks = tuple(by_id[number] for number in sorted(by_id))
    return GroundTruth(categories, videos, tracks)


def check_results(
    results: Any, ground_truth: GroundTruth, source: str = 'the results'
) -> tuple[Track, ...]:
    """Check a results list (the official schema) against its ground truth; an empty list is valid.

    Returns:
        The tracks in an order that does not depend on the order of the list: by video, category,
            falling
        score, masks.
    Raises:
        DataError: at the first defect, with the entry's place in the list.
    """
    if not isinstance(results, list):
        raise DataError(
            f'{source} is no list; results are a list with one entry per predicted object.'
        )
    tracks = []
    for place, entry in enumerate(with_bar(results, 'checking results')):
        where = f'{source}: entry {place}'
        video, category = _video_and_category(
            entry, ground_truth.videos, ground_truth.categories, where
        )
        score = _field(entry, 'score', (int, float), where)
        if not abs(score) < 1e300:
            raise DataError(
                f'{where} (video {video.id}) has the score {score!r:.40}; scores must be finite '
                f'numbers.'
            )
        masks, areas = compress_masks(
            entry.get('segmentations'), video, f'{where} (video {video.id})'
        )
        tracks.append(Track(video.id, category, float(score), masks, areas, _mean_of_seen(areas)))
    return tuple(sorted(tracks, key=_order))


def _check_videos(entries: list[dict[str, Any]], source: str) -> dict[int, Video]:
    """Read the videos of an annotation file, by id."""
    videos: dict[int, Video] = {}
    for entry in entries:
        fault = video_fault(entry, videos.keys(), need_names=False)
        if fault is not None:
            raise DataError(f'{source}: {describe_video(entry)}: {fault}.')
        names = entry.get('file_names')
        length = entry['length'] if names is None else len(names)
        number = entry['id']
        videos[number] = Video(number, entry['height'], entry['width'], length)
    return videos


def _truth_track(annotation: dict[str, Any], video: Video, where: str) -> Track:
    """The track of an annotation with sound ids."""
    masks, areas = compress_masks(annotation.get('segmentations'), video, where)
    fault = areas_fault(annotation, video.length)
    if fault is not None:
        raise DataError(f'{where}: {fault}.')

    # The mean area over the frames in which it is seen, as the file states it or as counted.
    stated = annotation.get('areas')
    if stated is None:
        counted = areas
    else:
        counted = np.array([area or 0 for area in stated], np.float64)
    is_crowd = bool(annotation.get('iscrowd', 0))
    return Track(
        video.id,
        annotation['category_id'],
        1.0,
        masks,
        areas,
        _mean_of_seen(counted),
        is_crowd,
    )


def _video_and_category(
    entry: Any, videos: dict[int, Video], categories: dict[int, str], where: str
) -> tuple[Video, int]:
    """The video and the category id of a results entry, both known to the ground truth."""
    video = _field(entry, 'video_id', int, where)
    category = _field(entry, 'category_id', int, where)
    if video not in videos:
        raise DataError(
            f'{where} belongs to video {video}, which the ground truth does not list; use results '
            'and ground truth of the same split.'
        )
    if category not in categories:
        raise DataError(
            f'{where} (video {video}) has category {category}, which the ground truth does not '
            'list; use the category ids of the ground-truth file.'
        )
    return videos[video], category


def _field(entry: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """A value of an entry that has the right kind."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(
            f'{where}: "{key}" is {_short(value)}; see the results and annotation schema in '
            'docs/evaluation.md.'
        )
    return value


def _short(value: Any) -> str:
    return 'missing' if value is None else repr(value)[:40]


def _mean_of_seen(areas: NDArray[Any]) -> float:
    seen = areas > 0
    if not seen.any():
        return 0.0
    return float(areas[seen].mean())


def _order(track: Track) -> tuple[Any, ...]:
    """A key by which tracks have one order, whatever the order of the list."""
    masks = [mask['counts'] if mask else b'' for mask in track.masks]
    return track.video_id, track.category_id, -track.score, masks
