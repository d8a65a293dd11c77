"""Prompts in the forms in which a caller of Python gives them: what they are, by frame index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.io.label_png import labels_of_array
from mmvos.structures import Point, Prompts

from .object_prompt import (
    ObjectPrompt,
    check_kinds,
    join_objects,
    parse_box,
    parse_points,
    parse_restart,
)
from .prompt_files import read_mask_prompts, read_object_mask, read_prompts

PromptsLike: TypeAlias = (
    Prompts | Mapping[int, Any] | str | Path | NDArray[Any] | Sequence[Any] | None
)
_KEYS = {'mask', 'box', 'points', 'restart'}  # of one object


def parse_prompts(prompts: PromptsLike, first_id: int = 1) -> dict[int, Prompts]:
    """Give the prompts of a video by frame index.

    Args:
        prompts: of the first frame:

            * ``Prompts``;
            * boxes (x1, y1, x2, y2), or one box;
            * an (H, W) array of ids, 0 = background, of bool, or of 0 and 255;
            * the path of a label image;

            or of any frames: the path of a prompts.json, or {frame index: what the first frame may
            have, or {id: {'mask': ..., 'box': ..., 'points': [(x, y, 1 or 0), ...], 'restart':
            ...}}}. A mask stands alone: (H, W) bool, or the path of a label image; box and points
            may stand together. None says nothing.
        first_id: of objects that have no id, boxes and black and white masks, counted up from it.

    Raises:
        DataError: it is none of these, or a file cannot be read.
    """
    if prompts is None:
        return {}
    if isinstance(prompts, (str, Path)) and str(prompts).lower().endswith('.json'):
        return read_prompts(prompts)
    if isinstance(prompts, Mapping):
        return _parse_frames(prompts, first_id)
    if not isinstance(prompts, (Prompts, str, Path, np.ndarray)) and len(prompts) == 0:
        return {}
    return {0: _parse_frame(prompts, first_id, set(), 0)}


def _parse_frames(prompts: Mapping[Any, Any], first_id: int) -> dict[int, Prompts]:
    """Prompts of several frames by their indices."""
    for frame in prompts:
        if not _is_whole(frame) or frame < 0:
            raise DataError(
                f'prompts by frame must have frame numbers from 0 on as keys, not {frame!r}'
            )
    by_frame = {}
    known_ids: set[int] = set()
    for frame, given in sorted(prompts.items()):
        by_frame[int(frame)] = _parse_frame(given, first_id, known_ids, frame)
        known_ids.update(by_frame[int(frame)].ids)
    return by_frame


def _is_whole(value: Any) -> bool:
    """Whether a key is a whole number, numpy's included."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _parse_frame(given: Any, first_id: int, known_ids: set[int], frame: int) -> Prompts:
    """What is said about one frame.

    Args:
        given: one of the forms of `parse_prompts`.
        first_id: of objects that have no id.
        known_ids: ids that earlier frames have named.
        frame: the frame's index.
    """
    if isinstance(given, Prompts):
        # The caller may draw the next prompt into the same array.
        masks = tuple(None if mask is None else mask.copy() for mask in given.masks)
        return replace(given, masks=masks)
    if isinstance(given, Mapping):
        return _parse_objects(given, known_ids, frame)
    if isinstance(given, (str, Path)):
        return read_mask_prompts(given)
    if isinstance(given, np.ndarray) and given.ndim == 2 and given.shape[1] != 4:
        return _parse_label_array(given, first_id)
    if not isinstance(given, (Sequence, np.ndarray)):
        raise DataError(
            f'prompts cannot be a {type(given).__name__}; give Prompts, boxes, an array of ids, '
            f'the path of a label image or of a prompts.json, or {{frame: one of these}}'
        )
    return _parse_boxes(given, first_id)


def _parse_label_array(array: NDArray[Any], first_id: int) -> Prompts:
    """The objects of an (H, W) array of ids, of bool, or of 0 and 255."""
    labels: NDArray[Any]
    if array.dtype == np.bool_:
        labels = array * np.int64(first_id)
    elif np.issubdtype(array.dtype, np.integer):
        labels = labels_of_array(array, 'the array of object ids', first_id)
    else:
        raise DataError(f'an array of object ids must have integers or bool, not {array.dtype}')
    ids = [int(object_id) for object_id in np.unique(labels) if object_id != 0]
    if not ids:
        raise DataError('the array of object ids shows no object: all its pixels are background')
    masks = tuple(labels == object_id for object_id in ids)
    return Prompts(tuple(ids), masks, (None,) * len(ids))


def _parse_boxes(given: Sequence[Any] | NDArray[Any], first_id: int) -> Prompts:
    """Objects that are given by their boxes, or one by its box."""
    is_single = len(given) == 4 and all(np.isscalar(number) for number in given)
    if is_single:
        given = [given]
    boxes = []
    for number, box in enumerate(given, 1):
        boxes.append(parse_box(box, f'box {number}'))
    ids = tuple(range(first_id, first_id + len(boxes)))
    masks = (None,) * len(boxes)
    return Prompts(ids, masks, tuple(boxes))


def _parse_objects(given: Mapping[Any, Any], known_ids: set[int], frame: int) -> Prompts:
    """Objects by id, each with a mask, a box, points, or a box and points."""
    if not given:
        raise DataError(f'the prompts of frame {frame} name no object; leave the frame out')
    objects = {}
    for object_id, entry in given.items():
        if not _is_whole(object_id) or object_id < 1:
            raise DataError(
                f'the prompts of frame {frame} must have ids from 1 on as keys, not {object_id!r}'
            )
        place = f'frame {frame}, object {object_id}'
        objects[int(object_id)] = _parse_object(entry, int(object_id), place)
    return join_objects(objects, known_ids, f'frame {frame}')


def _parse_object(entry: Any, object_id: int, place: str) -> ObjectPrompt:
    """What is said about one object."""
    if not isinstance(entry, Mapping):
        raise DataError(
            f"{place}: the prompt must be a dict, e.g. {{'points': [(40, 30, 1)]}}, not a "
            f'{type(entry).__name__}'
        )
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise DataError(
            f'{place} has {unknown[0]!r}, which says nothing here; a prompt has mask, box or '
            f'points, and may have restart'
        )
    check_kinds(entry, place)
    mask = None
    box = None
    points: tuple[Point, ...] = ()
    if 'mask' in entry:
        mask = _parse_mask(entry['mask'], object_id, place)
    if 'box' in entry:
        box = parse_box(entry['box'], f'{place}: the box')
    if 'points' in entry:
        points = parse_points(entry['points'], f'{place}: the points')
    restart = parse_restart(entry.get('restart', False), f'{place}: restart')
    return ObjectPrompt(mask, box, points, restart)


def _parse_mask(mask: Any, object_id: int, place: str) -> NDArray[np.bool_]:
    """The mask of one object: an array, or in a label image."""
    if isinstance(mask, (str, Path)):
        return read_object_mask(Path(mask), object_id)
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.bool_:
        raise DataError(
            f'{place}: the mask must be an array (height, width) of bool, e.g. mask > 0, or the '
            f'path of a label image'
        )
    if not mask.any():
        raise DataError(f'{place}: the mask is empty')
    # The caller may draw the next prompt into the same array.
    return mask.copy()
