"""Prompts that a user gives for one video: a label image, boxes, a JSON file, or what Python has of
these.

prompts.json is a list with one entry per object and frame, ``{"frame": 0, "id": 1, "box": [x1, y1,
x2, y2]}`` or ``{"frame": 12, "id": 2, "mask": "cat.png"}``: frames count from 0; boxes are
continuous pixels of the frames; masks are label images, with paths relative to the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.io.label_png import LARGEST_ID, Labels, labels_of_array, object_ids, read_label_png
from mmvos.structures import Prompts

Box = tuple[float, float, float, float]
Said = NDArray[np.bool_] | Box  # about one object
Told: TypeAlias = Prompts | Mapping[int, Any] | str | Path | NDArray[Any] | Sequence[Any] | None
_KEYS = {'frame', 'id', 'box', 'mask'}


def read_told(told: Told, first_id: int = 1) -> dict[int, Prompts]:
    """What a caller says about a video, by frame index.

    Args:
        told: ``Prompts`` of the first frame; boxes (x1, y1, x2, y2) in it; an (H, W) array of ids,
            0 = background, of bool, or of 0 and 255; the path of a label image, or of a prompts.json; or {frame
            index: any of these}. None says nothing.
        first_id: of objects that have no id, boxes and black and white masks, counted up from it.

    Raises:
        DataError: it is none of these, or a file cannot be read.
    """
    if told is None:
        return {}
    if isinstance(told, Mapping):
        wrong = [
            frame
            for frame in told
            if not isinstance(frame, int) or isinstance(frame, bool) or frame < 0
        ]
        if wrong:
            raise DataError(
                f'prompts by frame must have frame numbers from 0 on as keys, not {wrong[0]!r}'
            )
        return {frame: _of_one_frame(said, first_id) for frame, said in sorted(told.items())}
    if isinstance(told, (str, Path)) and str(told).lower().endswith('.json'):
        return read_prompts(told)
    if not isinstance(told, (Prompts, str, Path, np.ndarray)) and not len(told):
        return {}
    return {0: _of_one_frame(told, first_id)}


def _of_one_frame(told: Any, first_id: int) -> Prompts:
    if isinstance(told, Prompts):
        # The caller may draw the next prompt into the same array.
        masks = tuple(None if mask is None else mask.copy() for mask in told.masks)
        return Prompts(told.ids, masks, told.boxes)
    if isinstance(told, (str, Path)):
        return read_mask_prompts(told)
    if isinstance(told, np.ndarray) and told.ndim == 2 and told.shape[1] != 4:
        if told.dtype != np.bool_ and not np.issubdtype(told.dtype, np.integer):
            raise DataError(f'an array of object ids must have integers or bool, not {told.dtype}')
        labels: NDArray[Any] = told * np.int64(first_id)
        if told.dtype != np.bool_:
            labels = labels_of_array(told, 'the array of object ids', first_id)
        ids = [int(object_id) for object_id in np.unique(labels) if object_id != 0]
        if not ids:
            raise DataError(
                'the array of object ids shows no object: all its pixels are background'
            )
        return Prompts(
            tuple(ids), tuple(labels == object_id for object_id in ids), (None,) * len(ids)
        )
    if not isinstance(told, (Sequence, np.ndarray)):
        raise DataError(
            f'prompts cannot be a {type(told).__name__}; give Prompts, boxes, an array of ids, the '
            f'path of a label '
            f'image or of a prompts.json, or {{frame: one of these}}'
        )
    single = len(told) == 4 and all(np.isscalar(number) for number in told)
    boxes = [_box(box, f'box {number}') for number, box in enumerate([told] if single else told, 1)]
    return Prompts(
        tuple(range(first_id, first_id + len(boxes))), (None,) * len(boxes), tuple(boxes)
    )


def read_mask_prompts(path: str | Path) -> Prompts:
    """The objects of a label image: its ids, or object 1 where it is black and white.

    Raises:
        DataError: the file is no label image, see ``read_label_png``, or shows no object.
    """
    labels, ids = _read_labels(Path(path))
    return Prompts(tuple(ids), tuple(labels == object_id for object_id in ids), (None,) * len(ids))


def box_prompts(texts: Sequence[str]) -> Prompts:
    """Objects 1, 2, ... given by boxes.

    Args:
        texts: of the form 'x1,y1,x2,y2', continuous pixels.

    Raises:
        DataError: a text is not of this form, or a box has no area.
    """
    boxes = [_box(text.split(','), f'the box {text[:80]!r}') for text in texts]
    return Prompts(tuple(range(1, len(boxes) + 1)), (None,) * len(boxes), tuple(boxes))


def read_prompts(path: str | Path) -> dict[int, Prompts]:
    """The prompts of a JSON file by frame index; see the head of this file.

    Raises:
        DataError: the file or one of its masks cannot be read, or an entry is not as described;
            the message names the entry.
    """
    path = Path(path)
    entries = read_json(path)
    if not isinstance(entries, list) or not entries:
        raise DataError(
            f'{path} must hold a list of prompts, e.g. [{{"frame": 0, "id": 1, "box": [10, 20, '
            f'110, 220]}}]'
        )
    by_frame: dict[int, dict[int, Said]] = {}
    for number, entry in enumerate(entries):
        place = f'{path}, entry {number}'
        frame, object_id = _frame_and_id(entry, place)
        said = by_frame.setdefault(frame, {})
        if object_id in said:
            raise DataError(
                f'{place}: a second prompt for object {object_id} in frame {frame}; give one'
            )
        if 'mask' in entry:
            said[object_id] = _mask(path.parent / str(entry['mask']), object_id)
        else:
            said[object_id] = _box(entry['box'], f'{place}: the box')
    return {frame: _join(said) for frame, said in sorted(by_frame.items())}


def _frame_and_id(entry: Any, place: str) -> tuple[int, int]:
    """The frame and the object of an entry that is complete."""
    if not isinstance(entry, Mapping):
        raise DataError(f'{place} is no object with frame, id, and box or mask')
    if 'point' in entry or 'points' in entry:
        raise DataError(f'{place}: points are not supported; give a box or a mask')
    unknown = sorted(entry.keys() - _KEYS)
    if unknown:
        raise DataError(
            f'{place} has {unknown[0]!r}, which says nothing here; an entry has frame, id, and box '
            f'or mask'
        )
    if ('box' in entry) == ('mask' in entry):
        raise DataError(f'{place} must have either a box or a mask')
    for key, least, most in (('frame', 0, None), ('id', 1, LARGEST_ID)):
        value = entry.get(key)
        if type(value) is not int or value < least or (most is not None and value > most):
            bounds = f'from {least} to {most}' if most is not None else f'from {least} on'
            raise DataError(f'{place}: {key} must be a whole number {bounds}, it is {value!r}')
    return entry['frame'], entry['id']


def _box(numbers: Any, name: str) -> Box:
    try:
        if isinstance(numbers, (str, bytes)):
            raise TypeError('a text is no list of numbers')
        x1, y1, x2, y2 = (float(number) for number in numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f'{name} must be four numbers x1, y1, x2, y2, it is {str(numbers)[:80]}'
        ) from error
    if not all(math.isfinite(number) for number in (x1, y1, x2, y2)):
        raise DataError(
            f'{name} must have finite numbers, it is {x1:g}, {y1:g}, {x2:g}, {y2:g}; an object that '
            f'reaches beyond the frame ends at the edge of the frame'
        )
    if not (x2 > x1 and y2 > y1):
        raise DataError(
            f'{name} has no area: {x1:g}, {y1:g}, {x2:g}, {y2:g}; the numbers are left, top, '
            f'right, bottom'
        )
    return x1, y1, x2, y2


def _mask(path: Path, object_id: int) -> NDArray[np.bool_]:
    """The pixels of one object in a label image: those of its id, or all where the image shows a
    single object.
    """
    labels, ids = _read_labels(path)
    if object_id not in ids and len(ids) > 1:
        raise DataError(
            f'{path} shows the objects {", ".join(map(str, ids))}, not object {object_id}'
        )
    mask: NDArray[np.bool_] = labels == (object_id if object_id in ids else ids[0])
    return mask


def _read_labels(path: Path) -> tuple[Labels, list[int]]:
    """A label image and its ids, at least one."""
    labels = read_label_png(path)
    ids = object_ids(labels)
    if not ids:
        raise DataError(f'{path} shows no object: all its pixels are background')
    return labels, ids


def _join(said: Mapping[int, Said]) -> Prompts:
    masks = tuple(value if isinstance(value, np.ndarray) else None for value in said.values())
    boxes = tuple(None if isinstance(value, np.ndarray) else value for value in said.values())
    return Prompts(tuple(said), masks, boxes)
