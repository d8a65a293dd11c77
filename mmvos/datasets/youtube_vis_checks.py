"""Reading a YouTube-VIS JSON file and finding what is wrong with it, before training begins.

Plain functions, used by ``YouTubeVISDataset`` and by tools; nothing here decides what happens to
what is found, and no mask is decoded: run lengths are checked as numbers, polygons as lists.
Schema: videos (id, height, width, file_names and optionally length), categories (id, name),
annotations (id, video_id, category_id, and one entry per frame or None in segmentations, bboxes (x,
y, w, h) and optionally areas). Letters: H, W height and width in pixels.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmvos.io.rle import mask_fault

_RUNS = re.compile(rb'("counts"\s*:\s*)\[([0-9,\s]*)\]')
_MARK = '~'  # begins no compressed run lengths, whose characters lie within '0'..'o'


def read_youtube_vis(path: str | Path) -> dict[str, Any]:
    """Reads the file; uncompressed run lengths come as int32 arrays, all else as JSON has it,
    ``annotations`` None where absent.

    The run lengths, nearly all of a published file, go from text to arrays without becoming Python
    numbers, which would take several times as long and ten times the memory.

    Raises:
        ValueError: the file cannot be read, is no JSON, or its parts are not lists of objects; the
            message names it.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror}') from error
    runs: list[bytes] = []

    def take_out(found: re.Match[bytes]) -> bytes:
        runs.append(found[2])
        return b'%s"%s%d"' % (found[1], _MARK.encode(), len(runs) - 1)

    def put_back(item: dict[str, Any]) -> dict[str, Any]:
        counts = item.get('counts')
        if isinstance(counts, str) and counts.startswith(_MARK):
            index = int(counts[1:])
            item['counts'] = np.fromstring(runs[index], dtype=np.int32, sep=',')
            runs[index] = b''
        return item

    try:
        text = _RUNS.sub(take_out, text)
        data = json.loads(text, object_hook=put_back)
    except ValueError as error:
        raise ValueError(f'{path} is not a valid JSON file: {error}') from error
    if not isinstance(data, dict):
        raise ValueError(f'{path} holds no JSON object')
    data.setdefault('annotations', None)
    for part in ('videos', 'categories', 'annotations'):
        rows = data.get(part)
        if rows is None and part == 'annotations':
            continue
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f'{path} has no list {part!r}; is it a YouTube-VIS file?')
    return data


def check_categories(path: str | Path, categories: Sequence[Mapping[str, Any]]) -> None:
    """Raises ValueError where ids are no ints, or ids or names are missing or repeat."""
    if not categories:
        raise ValueError(f'{path} has no categories')
    for key, kind in (('id', int), ('name', str)):
        seen: set[Any] = set()
        for category in categories:
            value = category.get(key)
            if not isinstance(value, kind) or value in seen:
                fault = 'appears twice' if isinstance(value, kind) else f'is no {kind.__name__}'
                raise ValueError(f'{path}: category {dict(category)}: its {key} {fault}')
            seen.add(value)


def video_problems(videos: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """Yields (position in the list, sentence that names the video) of the entries that are not
    usable.
    """
    seen: set[int] = set()
    for position, video in enumerate(videos):
        fault = _video_fault(video, seen)
        if fault is None:
            seen.add(video['id'])
        else:
            yield position, f'{_name(video)}: {fault}'


def annotation_problems(
    annotations: Sequence[Mapping[str, Any]],
    videos: Sequence[Mapping[str, Any]],
    categories: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[int, str]]:
    """Yields (position in the list, sentence that names video, annotation and frame) of the
    annotations that are not usable.

    The lists of an annotation whose video is itself at fault cannot be checked.

    Args:
        annotations, videos, categories: the JSON's.
    """
    video_of = {
        video['id']: video for video in reversed(videos) if _video_fault(video, set()) is None
    }
    known_videos = {video['id'] for video in videos if isinstance(video.get('id'), int)}
    category_ids = {category['id'] for category in categories}
    seen: set[int] = set()
    for position, annotation in enumerate(annotations):
        fault = _annotation_fault(annotation, seen, known_videos, category_ids)
        video_id = annotation.get('video_id')
        video = video_of.get(video_id) if isinstance(video_id, int) else None
        if fault is None:
            seen.add(annotation['id'])
            fault = _lists_fault(annotation, video) if video is not None else None
        if fault is not None:
            place = _name(video) if video else f'video {video_id}'
            yield position, f'{place}, annotation {annotation.get("id")}: {fault}'


def _name(video: Mapping[str, Any]) -> str:
    names = video.get('file_names')
    folder = (
        Path(names[0]).parent.name
        if isinstance(names, list) and names and isinstance(names[0], str)
        else ''
    )
    return f'video {video.get("id")}' + (f' ({folder})' if folder else '')


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_positive_int(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _video_fault(video: Mapping[str, Any], seen: set[int]) -> str | None:
    if not isinstance(video.get('id'), int):
        return 'its id is missing or no int'
    if video['id'] in seen:
        return 'another video has the same id'
    if not _is_positive_int(video.get('height')) or not _is_positive_int(video.get('width')):
        return f'its height and width are {video.get("height")} and {video.get("width")}, they must be ints above 0'
    names = video.get('file_names')
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return 'it has no list of file_names'
    if video.get('length', len(names)) != len(names):
        return f'its length is {video["length"]}, but it has {len(names)} file_names'
    return None


def _annotation_fault(
    annotation: Mapping[str, Any], seen: set[int], videos: set[int], categories: set[int]
) -> str | None:
    missing = [
        key
        for key in ('id', 'video_id', 'category_id', 'segmentations', 'bboxes')
        if key not in annotation
    ]
    if missing:
        return f'it has no {missing[0]!r}'
    if not _is_positive_int(annotation['id']):
        return 'its id must be an int above 0 (evaluation counts an object of id 0 as never found); number them from 1'
    if annotation['id'] in seen:
        return 'another annotation has the same id'
    for key, known in (('video_id', videos), ('category_id', categories)):
        if not isinstance(annotation[key], int) or annotation[key] not in known:
            return f'there is no {key.removesuffix("_id")} {annotation[key]}'
    return None


def _lists_fault(annotation: Mapping[str, Any], video: Mapping[str, Any]) -> str | None:
    length, height, width = len(video['file_names']), video['height'], video['width']
    for key in ('segmentations', 'bboxes', 'areas'):
        values = annotation.get(key, [None] * length)
        if not isinstance(values, list) or len(values) != length:
            count = len(values) if isinstance(values, list) else 'no'
            return f'{key!r} has {count} entries, but the video has {length} frames'
    for t, (mask, box) in enumerate(zip(annotation['segmentations'], annotation['bboxes'])):
        fault = _box_fault(box, height, width) if box else None
        if box and not mask and fault is None:
            fault = 'there is a box but no mask'
        if mask and fault is None:
            fault = mask_fault(mask, height, width)
        if fault is not None:
            return f'frame {t} ({video["file_names"][t]}): {fault}'
    return None


def _box_fault(box: Any, height: int, width: int) -> str | None:
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return f'the box {box} is not a list of 4 finite numbers (x, y, w, h)'
    x, y, w, h = box
    if w < 0 or h < 0:
        return f'the box {box} has a negative size; boxes are (x, y, w, h)'
    if w and h and (x >= width or y >= height or x + w <= 0 or y + h <= 0):
        return f'the box {box} lies outside the frame of {width}x{height}'
    return None
