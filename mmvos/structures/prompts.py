"""Prompts: what a user says about one frame (which object is where), given to ``VideoModel.step``.

K objects; H, W are the frame's size in original pixels.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prompts:
    """The prompts of one frame: object k is given by its mask, or by its box where ``masks[k]`` is None.

    Attributes:
        ids: K distinct positive ints; they name the objects in all results.
        masks: K masks (H, W) bool, or None where a box is given.
        boxes: K boxes (x1, y1, x2, y2), continuous original pixels, or None where a mask is given.

    Raises:
        ValueError: ids repeat or are not positive, a list is of another length, an object has neither mask nor box,
            a mask is empty, or a box has no area.
    """

    ids: tuple[int, ...]
    masks: tuple[NDArray[np.bool_] | None, ...]
    boxes: tuple[tuple[float, float, float, float] | None, ...]

    def __post_init__(self) -> None:
        if len(set(self.ids)) != len(self.ids) or any(i < 1 for i in self.ids):
            raise ValueError(f'the ids of prompts must be distinct and positive, got {list(self.ids)}')
        if not len(self.ids) == len(self.masks) == len(self.boxes):
            raise ValueError(f'{len(self.ids)} ids, {len(self.masks)} masks and {len(self.boxes)} boxes do not belong together')
        for object_id, mask, box in zip(self.ids, self.masks, self.boxes):
            if mask is None and box is None:
                raise ValueError(f'the prompt of object {object_id} has neither a mask nor a box')
            if mask is not None and not mask.any():
                raise ValueError(f'the mask prompt of object {object_id} is empty')
            if box is not None and not (box[2] > box[0] and box[3] > box[1]):
                raise ValueError(f'the box prompt of object {object_id} has no area: {box}')
