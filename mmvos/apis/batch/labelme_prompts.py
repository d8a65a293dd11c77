"""A labelme file as prompts of the frame that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from mmvos.apis.object_prompt import ObjectPrompt
from mmvos.convert.annotation_model import as_rle, check_size, joined, value_of
from mmvos.convert.labelme import NO_AREA, Size, shape_mask
from mmvos.convert.shape_polygons import as_box
from mmvos.io.errors import DataError
from mmvos.io.label_png import LARGEST_ID

_Shape = Mapping[str, Any]


def read_labelme_prompts(file: Path, content: Any, is_only: bool) -> dict[int, ObjectPrompt]:
    """Read the objects of a labelme file.

    Args:
        file: its name.
        content: what it holds.
        is_only: whether it is the only one of its video, in which shapes need no ``group_id``.

    Returns:
        A box of each object that is one rectangle, a mask of each other, by id.

    Raises:
        DataError: it is no labelme file, or a shape has no number.
    """
    # 1. Size of the frame, and the shapes that have an area.
    size = (
        value_of(content, 'imageHeight', int, str(file)),
        value_of(content, 'imageWidth', int, str(file)),
    )
    check_size(*size, str(file))
    shapes: list[tuple[str, _Shape]] = []
    for place, shape in enumerate(value_of(content, 'shapes', list, str(file))):
        where = f'{file}: shape {place}'
        value_of(shape, 'label', str, where)
        if shape.get('shape_type', 'polygon') not in NO_AREA:
            shapes.append((where, shape))

    # 2. Several shapes of one object are its parts.
    has_groups = any(shape.get('group_id') is not None for _, shape in shapes)
    parts: dict[int, list[tuple[str, _Shape]]] = {}
    for number, (where, shape) in enumerate(shapes, 1):
        group = number
        if has_groups or not is_only:
            group = value_of(shape, 'group_id', int, where)
        if not 1 <= group <= LARGEST_ID:
            raise DataError(f'{where}: group_id is {group}; it must be from 1 to {LARGEST_ID}')
        parts.setdefault(group, []).append((where, shape))

    # 3. Each object as a prompt.
    return {group: _as_prompt(drawn, size) for group, drawn in parts.items()}


def _as_prompt(drawn: Sequence[tuple[str, _Shape]], size: Size) -> ObjectPrompt:
    """Make a prompt of the shapes of one object.

    Args:
        drawn: what each is called in messages, and the shape.
        size: (H, W) of the frame.
    """
    masks = [shape_mask(shape, size, where) for where, shape in drawn]

    # A single rectangle is a box, from which the model finds the mask.
    if len(drawn) == 1 and drawn[0][1].get('shape_type') == 'rectangle':
        box = as_box(masks[0])
        if box is not None:
            return ObjectPrompt(box=box)

    # All other shapes are parts of one mask.
    whole = as_rle(joined(masks, *size), *size)
    mask = coco_mask.decode(whole).astype(bool)
    if not mask.any():
        raise DataError(f'{drawn[0][0]} covers no pixel')
    return ObjectPrompt(mask=mask)
