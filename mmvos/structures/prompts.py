"""Prompts: what a user says about one frame (which object is where), given to ``VideoModel.step``.

K objects; H, W are the frame's size in original pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
# x and y in continuous original pixels; True: on the object, False: not on it.
Point = tuple[float, float, bool]


@dataclass(frozen=True)
class Prompts:
    """What a user says about the objects of one frame.

    Object k is given by its mask, or by a box, by points, or by a box and points. Points alone on
    an object that is already followed correct its mask in this frame.

    Attributes:
        ids: K distinct positive ints; they name the objects in all results.
        masks: K masks (H, W) bool, or None.
        boxes: K boxes (x1, y1, x2, y2), continuous original pixels, or None.
        points: K tuples of points, an empty one for an object without; () where nobody has any.
        restart: whether an object that is already followed starts anew; else the frame joins what
            is remembered of it.

    Raises:
        ValueError: ids repeat or are not positive, a list is of another length, an object has
            neither mask nor box nor points, or a mask and points; a mask is not bool or is empty; a
            box has no area; a number is not finite.
    """

    ids: tuple[int, ...]
    masks: tuple[NDArray[np.bool_] | None, ...]
    boxes: tuple[Box | None, ...]
    points: tuple[tuple[Point, ...], ...] = ()
    restart: bool = False

    def __post_init__(self) -> None:
        if not self.points:
            # A frozen dataclass is completed once, here.
            object.__setattr__(self, 'points', ((),) * len(self.ids))
        if len(set(self.ids)) != len(self.ids) or any(i < 1 for i in self.ids):
            raise ValueError(
                f'the ids of prompts must be distinct and positive, got {list(self.ids)}'
            )
        counts = [len(self.masks), len(self.boxes), len(self.points)]
        if counts != [len(self.ids)] * 3:
            raise ValueError(
                f'{len(self.ids)} ids, {counts[0]} masks, {counts[1]} boxes and points of '
                f'{counts[2]} objects do not belong together'
            )
        given = zip(self.ids, self.masks, self.boxes, self.points, strict=True)
        for object_id, mask, box, points in given:
            if mask is None and box is None and not points:
                raise ValueError(
                    f'the prompt of object {object_id} has neither a mask nor a box nor points'
                )
            if mask is not None:
                _check_mask(mask, object_id)
            if mask is not None and points:
                raise ValueError(
                    f'the prompt of object {object_id} has a mask and points; a mask says it all'
                )
            if box is not None:
                _check_box(box, object_id)
            if not all(math.isfinite(x) and math.isfinite(y) for x, y, _ in points):
                raise ValueError(f'a point of object {object_id} is not finite: {points}')

    def fitted(self, height: int, width: int) -> Prompts:
        """Return the prompts with their boxes clipped to a frame of ``height`` x ``width`` pixels.

        Raises:
            ValueError: a mask has another size than the frame, a box lies wholly outside it, or a
                point does.
        """
        for object_id, mask in zip(self.ids, self.masks):
            if mask is not None and mask.shape != (height, width):
                shown = 'x'.join(str(side) for side in reversed(mask.shape))
                raise ValueError(
                    f'the mask prompt of object {object_id} is {shown} but the frame is '
                    f'{width}x{height}; give a '
                    f"mask of the frame's size"
                )
        for object_id, points in zip(self.ids, self.points, strict=True):
            for x, y, _ in points:
                if not (0 <= x <= width and 0 <= y <= height):
                    raise ValueError(
                        f'the point {x:g},{y:g} of object {object_id} lies outside the frame of '
                        f'{width}x{height}'
                    )
        boxes = tuple(
            box and _clipped(box, object_id, height, width)
            for object_id, box in zip(self.ids, self.boxes)
        )
        return replace(self, boxes=boxes)


def _check_mask(mask: NDArray[np.bool_], object_id: int) -> None:
    """Refuse a mask that is not bool, or empty."""
    if mask.dtype != np.bool_:
        raise ValueError(
            f'the mask prompt of object {object_id} is {mask.dtype}; give bool, e.g. mask > 0'
        )
    if not mask.any():
        raise ValueError(f'the mask prompt of object {object_id} is empty')


def _check_box(box: Box, object_id: int) -> None:
    """Refuse a box that is not finite, or has no area."""
    x1, y1, x2, y2 = box
    if not all(math.isfinite(number) for number in box):
        raise ValueError(f'the box prompt of object {object_id} is not finite: {box}')
    has_area = x2 > x1 and y2 > y1
    if not has_area:
        raise ValueError(f'the box prompt of object {object_id} has no area: {box}')


def _clipped(box: Box, object_id: int, height: int, width: int) -> Box:
    """The part of a box that lies in the frame; one that lies outside has none."""
    left, top, right, bottom = box
    x1 = max(left, 0.0)
    y1 = max(top, 0.0)
    x2 = min(right, float(width))
    y2 = min(bottom, float(height))
    has_area = x2 > x1 and y2 > y1
    if not has_area:
        raise ValueError(
            f'the box prompt of object {object_id} lies outside the frame of {width}x{height}: '
            f'{tuple(box)}'
        )
    return x1, y1, x2, y2
