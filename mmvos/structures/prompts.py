"""Prompts: what a user says about one frame (which object is where), given to ``VideoModel.step``.

K objects; H, W are the frame's size in original pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Prompts:
    """The prompts of one frame: object k is given by its mask, or by its box where ``masks[k]`` is
    None.

    Attributes:
        ids: K distinct positive ints; they name the objects in all results.
        masks: K masks (H, W) bool, or None where a box is given.
        boxes: K boxes (x1, y1, x2, y2), continuous original pixels, or None where a mask is given.

    Raises:
        ValueError: ids repeat or are not positive, a list is of another length, an object has
            neither mask nor box, a mask is not bool or is empty, or a box has no area or is not finite.
    """

    ids: tuple[int, ...]
    masks: tuple[NDArray[np.bool_] | None, ...]
    boxes: tuple[Box | None, ...]

    def __post_init__(self) -> None:
        if len(set(self.ids)) != len(self.ids) or any(i < 1 for i in self.ids):
            raise ValueError(
                f'the ids of prompts must be distinct and positive, got {list(self.ids)}'
            )
        if not len(self.ids) == len(self.masks) == len(self.boxes):
            raise ValueError(
                f'{len(self.ids)} ids, {len(self.masks)} masks and {len(self.boxes)} boxes do not '
                f'belong together'
            )
        for object_id, mask, box in zip(self.ids, self.masks, self.boxes):
            if mask is None and box is None:
                raise ValueError(f'the prompt of object {object_id} has neither a mask nor a box')
            if mask is not None and mask.dtype != np.bool_:
                raise ValueError(
                    f'the mask prompt of object {object_id} is {mask.dtype}; give bool, e.g. mask '
                    f'> 0'
                )
            if mask is not None and not mask.any():
                raise ValueError(f'the mask prompt of object {object_id} is empty')
            if box is not None and not all(math.isfinite(number) for number in box):
                raise ValueError(f'the box prompt of object {object_id} is not finite: {box}')
            if box is not None and not (box[2] > box[0] and box[3] > box[1]):
                raise ValueError(f'the box prompt of object {object_id} has no area: {box}')

    def fitted(self, height: int, width: int) -> Prompts:
        """The prompts with their boxes clipped to a frame of ``height`` x ``width`` original
        pixels.

        Raises:
            ValueError: a mask has another size than the frame, or a box lies wholly outside it.
        """
        for object_id, mask in zip(self.ids, self.masks):
            if mask is not None and mask.shape != (height, width):
                shown = 'x'.join(str(side) for side in reversed(mask.shape))
                raise ValueError(
                    f'the mask prompt of object {object_id} is {shown} but the frame is '
                    f'{width}x{height}; give a '
                    f"mask of the frame's size"
                )
        boxes = tuple(
            box and _clipped(box, object_id, height, width)
            for object_id, box in zip(self.ids, self.boxes)
        )
        return replace(self, boxes=boxes)


def _clipped(box: Box, object_id: int, height: int, width: int) -> Box:
    x1, y1, x2, y2 = (
        max(box[0], 0.0),
        max(box[1], 0.0),
        min(box[2], float(width)),
        min(box[3], float(height)),
    )
    if not (x2 > x1 and y2 > y1):
        raise ValueError(
            f'the box prompt of object {object_id} lies outside the frame of {width}x{height}: '
            f'{tuple(box)}'
        )
    return x1, y1, x2, y2
