"""The annotation file of YouTube-VIS (2019, 2021, OVIS, own classes): its one reader, and the
checks of everything in it.

Schema (Yang et al., Video Instance Segmentation, ICCV 2019): videos (id, height, width, file_names
and optionally length), categories (id, name), annotations (id, video_id, category_id, and one entry
per frame or None in segmentations, bboxes (x, y, w, h) and optionally areas; optionally iscrowd).

Each check says what is wrong with one row in words, or None. Who reads the file decides what
happens then: a data set collects all faults and may leave the rows out, a score stops at the first.
No mask is decoded; run lengths are checked as numbers.

Letters: H, W height and width in pixels, L frames of a video.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .json_arrays import read_json_with_arrays
from .paths import name_fault
from .rle import RunLengthError, compress_mask, mask_fault, measure_run_lengths, size_fault

PARTS = ('videos', 'categories', 'annotations')
MAX_ID = 2**31 - 1  # mmdet's loader keeps ids as int32
_MAX_COORDINATE = 1e300  # beyond it sums of two coordinates may be infinite

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Video:
    """A checked video entry: sides in pixels and number of frames."""

    id: int
    height: int
    width: int
    length: int


def read_youtube_vis(path: str | Path) -> dict[str, Any]:
    """Read an annotation file.

    Args:
        path: the file.

    Returns:
        What the file holds: 'videos', 'categories' and 'annotations' are lists of dicts,
        'annotations' is None where absent; 'counts' of uncompressed run lengths are arrays.

    Raises:
        DataError: the file cannot be read, is no JSON, or a part is no list of objects.
    """
    return check_parts(read_json_with_arrays(path), path)


def check_parts(data: Any, source: object) -> dict[str, Any]:
    """Check that parsed JSON has the lists of an annotation file.

    Returns:
        The same dict; 'annotations' is None where absent.

    Raises:
        DataError: a part is no list of objects.
    """
    if not isinstance(data, dict):
        raise DataError(
            f'{source} has no list "videos": it holds no JSON object, so it is no annotation file '
            f'in YouTube-VIS format.'
        )
    data.setdefault('annotations', None)
    for part in PARTS:
        rows = data.get(part)
        if rows is None and part == 'annotations':
            continue
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(
                f'{source} has no list "{part}": it is no annotation file in YouTube-VIS format.'
            )
    return data


def category_names(categories: Sequence[Row], source: object) -> dict[int, str]:
    """Check the categories.

    Returns:
        id -> name, in the order of the file.

    Raises:
        DataError: there are none, or an id or a name is missing or repeats.
    """
    if not categories:
        raise DataError(f'{source} has no categories.')
    names: dict[int, str] = {}
    for place, category in enumerate(categories):
        where = f'{source}: category at position {place}'
        number = category.get('id')
        name = category.get('name')
        if not _is_int(number):
            raise DataError(f'{where}: its id is {_short(number)}; it must be a whole number.')
        if not isinstance(name, str):
            raise DataError(f'{where}: its name is {_short(name)}; it must be a text.')
        if number in names:
            raise DataError(f'{where}: the id {number} appears twice.')
        if name in names.values():
            raise DataError(f'{where}: the name "{name}" appears twice.')
        names[number] = name
    return names


def video_problems(videos: Sequence[Row]) -> Iterator[tuple[int, str]]:
    """Yield (position in the list, sentence that names the video) of the entries that are not
    usable.
    """
    seen: set[int] = set()
    for position, video in enumerate(videos):
        fault = video_fault(video, seen)
        if fault is None:
            seen.add(video['id'])
        else:
            yield position, f'{describe_video(video)}: {fault}'


def annotation_problems(
    annotations: Sequence[Row], videos: Sequence[Row], categories: Sequence[Row]
) -> Iterator[tuple[int, str]]:
    """Find the annotations that cannot be trained on.

    The lists of an annotation whose video is itself at fault cannot be checked.

    Args:
        annotations, videos, categories: of the file.

    Yields:
        Position in the list, and a sentence that names video, annotation and frame.
    """
    # Of two videos of one id the first counts, as for video_problems.
    video_of: dict[Any, Row] = {}
    known_videos = set()
    for video in videos:
        if video_fault(video, set()) is None:
            video_of.setdefault(video['id'], video)
        if _is_int(video.get('id')):
            known_videos.add(video['id'])
    known_categories = {category['id'] for category in categories}

    seen: set[int] = set()
    for position, annotation in enumerate(annotations):
        fault = annotation_fault(annotation, seen, known_videos, known_categories)
        video_id = annotation.get('video_id')
        video_of_annotation = None
        if _is_int(video_id):
            video_of_annotation = video_of.get(video_id)
        if fault is None:
            seen.add(annotation['id'])
            fault = _training_fault(annotation, video_of_annotation)
        if fault is not None:
            place = f'video {_short(video_id)}'
            if video_of_annotation:
                place = describe_video(video_of_annotation)
            yield position, f'{place}, annotation {_short(annotation.get("id"))}: {fault}'


def describe_video(video: Row) -> str:
    """Name a video in a message: its id, and the folder of its frames where it has one."""
    names = video.get('file_names')
    folder = ''
    if isinstance(names, list) and names and isinstance(names[0], str):
        folder = PurePosixPath(names[0]).parent.name
    number = _short(video.get('id'))
    # Control characters would move the cursor of a terminal.
    is_shown = folder and folder.isprintable()
    return f'video {number} ({folder})' if is_shown else f'video {number}'


def video_fault(video: Row, seen: Container[int], need_names: bool = True) -> str | None:
    """Say what is wrong with a video entry; None where nothing is.

    Args:
        video: the entry.
        seen: ids of the entries before.
        need_names: file names are needed; else a length without them will do, as for scores.
    """
    number = video.get('id')
    if not _is_int(number):
        return f'its id is {_short(number)}; it must be a whole number'
    if number in seen:
        return 'another video has the same id'
    fault = size_fault(video.get('height'), video.get('width'))
    if fault is not None:
        return fault

    # As many frames as it says.
    names = video.get('file_names')
    length = video.get('length')
    if names is None and not need_names:
        if not _is_int(length) or length <= 0:
            return f'its length is {_short(length)}; write the number of frames'
        return None
    if not isinstance(names, list) or not names:
        return 'it has no list of file_names'
    if length is not None and (not _is_int(length) or length != len(names)):
        return f'its length is {_short(length)}, but it has {len(names)} file_names'
    for name in names:
        fault = name_fault(name)
        if fault is not None:
            return f'its file name {_short(name)} {fault}'
    return None


def annotation_fault(
    annotation: Row, seen: Container[int], videos: Container[int], categories: Container[int]
) -> str | None:
    """Say what is wrong with an annotation's ids; None where nothing is.

    Args:
        annotation: the entry.
        seen: ids of the entries before.
        videos, categories: ids that the file lists.
    """
    number = annotation.get('id')
    if not _is_int(number):
        return f'its id is {_short(number)}; it must be a whole number'
    if number in seen:
        return 'another annotation has the same id'
    for key, known in (('video_id', videos), ('category_id', categories)):
        value = annotation.get(key)
        if not _is_int(value):
            return f'its {key} is {_short(value)}; it must be a whole number'
        if value not in known:
            return f'there is no {key.removesuffix("_id")} {value}'
    crowd = annotation.get('iscrowd', 0)
    if not _is_int(crowd) or crowd not in (0, 1):
        return f'its iscrowd is {_short(crowd)}; write 0 or 1'
    return None


def per_frame_fault(annotation: Row, key: str, length: int) -> str | None:
    """Say what is wrong with a list that has one entry per frame; None where nothing is, or where
    the annotation has no such list.
    """
    if key not in annotation:
        return None
    values = annotation[key]
    if not isinstance(values, list):
        return f'its "{key}" is no list of one entry per frame'
    if len(values) != length:
        return f'its "{key}" has {len(values)} entries, but the video has {length} frames'
    return None


def areas_fault(annotation: Row, length: int) -> str | None:
    """Say what is wrong with an annotation's areas; None where nothing is, or where it has none."""
    if annotation.get('areas') is None:
        return None
    fault = per_frame_fault(annotation, 'areas', length)
    if fault is not None:
        return fault
    for t, area in enumerate(annotation['areas']):
        fault = area_fault(area)
        if fault is not None:
            return f'frame {t}: {fault}'
    return None


def area_fault(area: Any) -> str | None:
    """Say what is wrong with one stated area; None where nothing is, or it is not stated."""
    if area is None or (_is_number(area) and area >= 0):
        return None
    return f'its area is {_short(area)}; write pixels, or null'


def compress_masks(
    masks: Any, video: Video, where: str
) -> tuple[tuple[dict[str, Any] | None, ...], NDArray[np.int64]]:
    """Check the masks of one object and bring them to compressed run lengths.

    Args:
        masks: L entries, each run lengths of any form, a list of polygons, or None (or []) where
            the object is absent.
        video: whose object it is.
        where: file and place of the object; the message begins with it.

    Returns:
        L pycocotools dicts {'size', 'counts': bytes} or None; (L,) areas in pixels.

    Raises:
        DataError: at the first defect, with its frame.
    """
    if not isinstance(masks, list):
        raise DataError(
            f'{where} has no list "segmentations"; write one entry per frame of the video.'
        )
    if len(masks) != video.length:
        raise DataError(
            f'{where} has {len(masks)} segmentations but video {video.id} has {video.length} '
            f'frames; write one entry per frame, null where the object is absent.'
        )

    # The frames in which the object is there, and its run lengths in them.
    shown = [t for t, mask in enumerate(masks) if not is_absent(mask)]
    strings = []
    for t in shown:
        strings.append(_compressed_string(masks[t], video, f'{where}, frame {t}'))
    areas = np.zeros(video.length, np.int64)
    try:
        areas[shown] = measure_run_lengths(strings, video.height, video.width)
    except RunLengthError as error:
        frame = shown[error.index]
        raise DataError(f'{where}, frame {frame}: the mask {error}.') from None

    checked: list[dict[str, Any] | None] = [None] * video.length
    for t, string in zip(shown, strings, strict=True):
        checked[t] = {'size': [video.height, video.width], 'counts': string}
    return tuple(checked), areas


def is_absent(entry: Any) -> bool:
    """Whether a mask or a box says that the object is not to be seen in its frame."""
    return entry is None or (isinstance(entry, list) and not entry)


def _compressed_string(mask: Any, video: Video, where: str) -> bytes:
    """The compressed run lengths of a mask; those that are given as such are not checked yet.

    They are most of a results file, and all of an object are checked and measured together.
    """
    if isinstance(mask, dict) and mask.get('size') == [video.height, video.width]:
        counts = mask.get('counts')
        if isinstance(counts, str):
            return counts.encode('utf-8', 'surrogatepass')
        if isinstance(counts, bytes):
            return counts
    rle = compress_mask(mask, video.height, video.width, where)
    return bytes(rle['counts'])


def _training_fault(annotation: Row, video: Row | None) -> str | None:
    """What keeps an annotation with sound ids from being trained on."""
    if annotation['id'] <= 0:
        return (
            'its id must be an int above 0 (evaluation counts an object of id 0 as never found); '
            'number them from 1'
        )
    if annotation['id'] > MAX_ID:
        return f'its id {annotation["id"]} does not fit into 32 bits; number them from 1'
    for key in ('segmentations', 'bboxes'):
        if key not in annotation:
            return f'it has no "{key}"'

    # An entry for each frame of the video.
    if video is None:
        return None
    length = len(video['file_names'])
    for key in ('segmentations', 'bboxes'):
        fault = per_frame_fault(annotation, key, length)
        if fault is not None:
            return fault
    fault = areas_fault(annotation, length)
    if fault is not None:
        return fault

    # Each mask and box fits its frame.
    for t, (mask, box) in enumerate(zip(annotation['segmentations'], annotation['bboxes'])):
        fault = _frame_fault(mask, box, video['height'], video['width'])
        if fault is not None:
            return f'frame {t} ({video["file_names"][t]}): {fault}'
    return None


def _frame_fault(mask: Any, box: Any, height: int, width: int) -> str | None:
    """What is wrong with the mask and the box of one frame."""
    if not is_absent(box):
        fault = box_fault(box, height, width)
        if fault is not None:
            return fault
        if is_absent(mask):
            return 'there is a box but no mask'
    if is_absent(mask):
        return None
    return mask_fault(mask, height, width)


def box_fault(box: Any, height: int, width: int) -> str | None:
    """Say what is wrong with a box of a frame.

    Args:
        box: (x, y, w, h).
        height, width: of the frame.

    Returns:
        None where nothing is.
    """
    has_four = isinstance(box, list) and len(box) == 4
    if not has_four or not all(map(_is_number, box)):
        return f'the box {_short(box)} is not a list of 4 finite numbers (x, y, w, h)'
    x, y, w, h = box
    if w < 0 or h < 0:
        return f'the box {box} has a negative size; boxes are (x, y, w, h)'
    has_area = w and h
    is_beyond = x >= width or y >= height
    is_before = x + w <= 0 or y + h <= 0
    if has_area and (is_beyond or is_before):
        return f'the box {box} lies outside the frame of {width}x{height}'
    return None


def _is_int(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number; true and false are none."""
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and abs(value) < _MAX_COORDINATE


def _short(value: Any) -> str:
    """A value in a message, cut where it is long."""
    if value is None:
        return 'missing'
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + '...'
