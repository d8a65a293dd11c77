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
    by_value: dict[int, list[dict[str, Any]]] = {}
    for layer in layers:
        by_value.setdefault(layer.value, []).append(layer.rle)
    if len(by_value) < 2:
        return False
    # Where none is shared, the areas add up to that of the union.
    masks = [coco_mask.merge(codes) for codes in by_value.values()]
    union = coco_mask.merge(masks)
    return sum(areas_of(masks)) > int(coco_mask.area(union))


def paint(
    layers: Sequence[Layer], height: int, width: int, policy: str, where: str
) -> NDArray[np.int32]:
    """Put the masks of one frame into one image.

    Args:
        layers: the masks.
        height, width: H and W.
        policy: who gets a shared pixel: 'smaller' mask, higher score ('confident', then smaller),
            or nobody ('refuse').
        where: names the frame in messages.

    Returns:
        (H, W) values, 0 where no mask is.

    Raises:
        ConversionError: masks of different values overlap and nobody shall get the pixels.
    """
    # What is painted later lies above.
    areas = [int(coco_mask.area(layer.rle)) for layer in layers]
    order = list(range(len(layers)))
    if policy == 'smaller':
        order.sort(key=lambda place: -areas[place])
    elif policy == 'confident':
        order.sort(key=lambda place: (layers[place].score, -areas[place]))

    labels = np.zeros((height, width), np.int32)
    for place in order:
        value = layers[place].value
        mask = coco_mask.decode(layers[place].rle).astype(bool)
        if policy == 'refuse':
            below = labels[mask]
            others = below[(below > 0) & (below != value)]
            if others.size:
                raise ConversionError(
                    f'{where}: objects {int(others.max())} and {value} overlap, which this format '
                    'cannot say; choose --overlaps smaller (or confident, for results) to give '
                    'each pixel to one of them.'
                )
        labels[mask] = value
    return labels
