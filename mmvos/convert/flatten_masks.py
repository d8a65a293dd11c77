"""For formats in which a pixel belongs to one object (label images, MOTS): what to do with masks
that overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mmvos.convert.annotation_model import ConversionError
from mmvos.io.rle import areas_of

OVERLAPS = ('refuse', 'smaller', 'confident')


@dataclass(frozen=True)
class Layer:
    """A mask of one frame: pixel value (> 0), pycocotools run lengths, score (1 for ground
    truth).
    """

    value: int
    rle: dict[str, Any]
    score: float = 1.0


def overlap(layers: Sequence[Layer]) -> bool:
    """Whether masks of different values share a pixel; nothing is decoded."""
    by_value = {
        value: coco_mask.merge([layer.rle for layer in layers if layer.value == value])
        for value in {layer.value for layer in layers}
    }
    masks = list(by_value.values())
    if len(masks) < 2:
        return False
    together = int(coco_mask.area(coco_mask.merge(masks)))
    return sum(areas_of(masks)) > together


def paint(
    layers: Sequence[Layer], height: int, width: int, policy: str, where: str
) -> NDArray[np.int32]:
    """(H, W) values of one frame, 0 where no mask is.

    Args:
        policy: who gets a shared pixel: 'smaller' mask, higher score ('confident', then smaller),
            or nobody ('refuse').
    Raises:
        ConversionError: masks of different values overlap and nobody shall get the pixels.
    """
    labels = np.zeros((height, width), np.int32)
    area = [int(coco_mask.area(layer.rle)) for layer in layers]
    order = list(range(len(layers)))
    if policy == 'smaller':
        order.sort(key=lambda place: -area[place])
    elif policy == 'confident':
        order.sort(key=lambda place: (layers[place].score, -area[place]))
    for place in order:
        value = layers[place].value
        mask = coco_mask.decode(layers[place].rle).astype(bool)
        under = labels[mask]
        if policy == 'refuse' and (taken := under[(under > 0) & (under != value)]).size:
            raise ConversionError(
                f'{where}: objects {int(taken.max())} and {value} overlap, which this format '
                f'cannot say; '
                f'choose '
                '--overlaps smaller (or confident, for results) to give each pixel to one of them.'
            )
        labels[mask] = value
    return labels
