"""Flipping a frame: mmdet's ``RandomFlip`` with a picture whose rows stay rows in memory."""

from __future__ import annotations

from typing import Any

import cv2
from mmdet.datasets.transforms import RandomFlip

from mmvos.registry import TRANSFORMS

from ..bitmap_masks import FLIP_CODES


@TRANSFORMS.register_module()
class FlipFrame(RandomFlip):
    """See mmdet's ``RandomFlip``; same random numbers, same pixels.

    mmdet's result is a view that is read backwards, which every later step pays for.
    """

    def _flip(self, results: dict[str, Any]) -> None:
        """Flip the picture, the boxes and the masks."""
        image = results['img']
        super()._flip(results)
        results['img'] = cv2.flip(image, FLIP_CODES[results['flip_direction']])
