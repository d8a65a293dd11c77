"""Prompts of one video in files: a label image, or a prompts.json; and boxes of a command line.

prompts.json is a list with one entry per object and frame. Frames count from 0; boxes and points
are continuous pixels of the frames; masks are label images, with paths relative to the file:

    {"frame": 0, "id": 1, "box": [x1, y1, x2, y2]}
    {"frame": 0, "id": 2, "points": [[x, y, 1], [x, y, 0]]}       1: on the object, 0: not on it
    {"frame": 0, "id": 3, "box": [x1, y1, x2, y2], "points": [[x, y, 0]]}
    {"frame": 12, "id": 1, "mask": "cat.png", "restart": true}    the object starts anew here
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.io.label_png import LARGEST_ID, Labels, object_ids, read_label_png
from mmvos.structures import Point, Prompts

from .object_prompt import (
    ObjectPrompt,
    check_kinds,
    join_objects,
    parse_box,
    parse_points,
    parse_restart,
)

_KEYS = {'frame', 'id', 'box', 'mask', 'points', 'restart'}
_EXAMPLE = '[{"frame": 0, "id": 1, "box": [10, 20, 110, 220]}]'


def read_mask_prompts(path: str | Path) -> Prompts:
    """Read the objects of a label image: its ids, or object 1 where it is black and white.

    Args:
        path: of the label image.

    Raises:
        DataError: the file is no label image, see ``read_label_png``, or shows no object.
    """
    labels, ids = _read_labels(Path(path))
    masks = tuple(labels == object_id for object_id in ids)
    boxes = (None,) * len(ids)
    return Prompts(tuple(ids), masks, boxes)


def box_prompts(texts: Sequence[str]) -> Prompts:
    """Make objects 1, 2, ... of boxes.

    Args:
        texts: of the form 'x1,y1,x2,y2', continuous pixels.

    Raises:
        DataError: a text is not of this form, or a box has no area.
    """
    boxes = []
    for text in texts:
        numbers = text.split(',')
        boxes.append(parse_box(numbers, f'the box {text[:80]!r}'))
    ids = tuple(range(1, len(boxes) + 1))
    masks = (None,) * len(boxes)
    return Prompts(ids, masks, tuple(boxes))


def point_prompts(
    on_object: Sequence[str], beside: Sequence[str] = (), boxes: Sequence[str] = ()
) -> Prompts:
    """Make object 1 of points, alone or with a box.

    Args:
        on_object: points on the object, of the form 'x,y', continuous pixels.
        beside: points that are not on it.
        boxes: at most one box, of the form 'x1,y1,x2,y2'.

    Raises:
        DataError: a text is not of this form, there is no point on the object, or there are boxes
            of several objects.
    """
    if len(boxes) > 1:
        raise DataError(
            'points belong to one object, but there are several boxes; give several objects in a '
            'prompts.json'
        )
    if not on_object and not boxes:
        raise DataError('there is no point on the object; give one, or a box around it')
    rows: list[list[Any]] = []
    for texts, label in ((on_object, 1), (beside, 0)):
        for text in texts:
            rows.append([*text[:80].split(','), label])
    points = parse_points(rows, 'the points')
    box = parse_box(boxes[0].split(','), f'the box {boxes[0][:80]!r}') if boxes else None
    return Prompts((1,), (None,), (box,), (points,))


def read_prompts(path: str | Path) -> dict[int, Prompts]:
    """Read a prompts.json; see the head of this file.

    Returns:
        The prompts by frame index, in the order of the frames.

    Raises:
        DataError: the file or one of its masks cannot be read, or an entry is not as described;
            the message names the entry.
    """
    path = Path(path)
    entries = read_json(path)
    if not isinstance(entries, list) or not entries:
        raise DataError(f'{path} must hold a list of prompts, e.g. {_EXAMPLE}')

    objects_of: dict[int, dict[int, ObjectPrompt]] = {}  # frame -> id -> prompt
    for number, entry in enumerate(entries):
        place = f'{path}, entry {number}'
        frame, object_id = _parse_frame_and_id(entry, place)
        objects = objects_of.setdefault(frame, {})
        if object_id in objects:
            raise DataError(
                f'{place}: a second prompt for object {object_id} in frame {frame}; give one'
            )
        objects[object_id] = _parse_object(entry, object_id, path.parent, place)

    # The entries may come in any order; an object is known from its first frame on.
    by_frame = {}
    known_ids: set[int] = set()
    for frame, objects in sorted(objects_of.items()):
        by_frame[frame] = join_objects(objects, known_ids, f'{path}, frame {frame}')
        known_ids.update(objects)
    return by_frame


def _parse_frame_and_id(entry: Any, place: str) -> tuple[int, int]:
    """Check the keys of an entry; return its frame and its object."""
    if not isinstance(entry, Mapping):
        raise DataError(f'{place} is no object with frame, id, and box, mask or points')
    unknown = sorted(entry.keys() - _KEYS)
    if unknown:
        raise DataError(
            f'{place} has {unknown[0]!r}, which says nothing here; an entry has frame, id, and '
            f'box, mask or points, and may have restart'
        )
    check_kinds(entry, place)
    for key, least, most in (('frame', 0, None), ('id', 1, LARGEST_ID)):
        value = entry.get(key)
        if type(value) is not int or value < least or (most is not None and value > most):
            bounds = f'from {least} to {most}' if most is not None else f'from {least} on'
            raise DataError(f'{place}: {key} must be a whole number {bounds}, it is {value!r}')
    return entry['frame'], entry['id']


def _parse_object(
    entry: Mapping[str, Any], object_id: int, folder: Path, place: str
) -> ObjectPrompt:
    """Read what an entry says about its object.

    Args:
        entry: checked by `_parse_frame_and_id`.
        object_id: its id.
        folder: where the paths of masks begin.
        place: what the entry is called in messages.
    """
    mask = None
    box = None
    points: tuple[Point, ...] = ()
    if 'mask' in entry:
        name = entry['mask']
        if not isinstance(name, str) or not name:
            raise DataError(f'{place}: mask must be the path of a label image, it is {name!r}')
        try:
            mask = read_object_mask(folder / name, object_id)
        except DataError as error:
            raise DataError(f'{place}: {error}') from error
    if 'box' in entry:
        box = parse_box(entry['box'], f'{place}: the box')
    if 'points' in entry:
        points = parse_points(entry['points'], f'{place}: the points')
    restart = parse_restart(entry.get('restart', False), f'{place}: restart')
    return ObjectPrompt(mask, box, points, restart)


def read_object_mask(path: Path, object_id: int) -> NDArray[np.bool_]:
    """Read the pixels of one object in a label image: those of its id, or all where the image shows
    a single object.

    Raises:
        DataError: the file is no label image, or shows several objects without this one.
    """
    labels, ids = _read_labels(path)
    if object_id not in ids and len(ids) > 1:
        raise DataError(
            f'{path} shows the objects {", ".join(map(str, ids))}, not object {object_id}'
        )
    value = object_id if object_id in ids else ids[0]
    mask: NDArray[np.bool_] = labels == value
    return mask


def _read_labels(path: Path) -> tuple[Labels, list[int]]:
    """A label image and its ids, at least one."""
    labels = read_label_png(path)
    ids = object_ids(labels)
    if not ids:
        raise DataError(f'{path} shows no object: all its pixels are background')
    return labels, ids
