"""Cutting one window out of all frames of a clip, around its object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from mmvos.registry import TRANSFORMS

_MEAN_BGR = (103.53, 116.28, 123.675)
_STRETCH = 0.1  # the window's sides differ by up to this share
_LARGEST = 1.4  # longest side of the window over the frame's shorter side, and at least
_ROOM = 1.2  # over the object's longer side
_ZOOM = 3  # a small object is not enlarged more than this
_BEYOND = 0.1  # share of the window that may reach beyond the frame without need


@TRANSFORMS.register_module()
class CropClip(BaseTransform):
    """Cuts the same nearly square window out of all frames and resizes it to size x size.

    The window contains the box of the object in all frames, at a random place. Outside the frame it
    has ImageNet's mean color. Draws from numpy's global generator.

    Args:
        size: side of the result in pixels.
        context: bounds of the window's side over the longer side of that box; large windows are cut
            down to 1.4 times the frame's shorter side, or 1.2 times that of the box.
    """

    def __init__(self, size: int = 384, context: tuple[float, float] = (1.8, 3.5)) -> None:
        self.size, self.context = size, context

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Replaces ``img``, ``img_shape`` and ``gt_masks`` and adds ``inside``; see the class.

        ``inside`` is the box x1, y1, x2, y2 in which the result shows the frame, for each frame.

        Returns:
            The results; None (draw another clip) if nothing of the object is left in the first
            frame.
        """
        rng = np.random.default_rng(np.random.randint(1 << 31))
        height, width = results['img'][0].shape[:2]
        union = np.maximum.reduce([mask for masks in results['gt_masks'] for mask in masks.masks])
        window = self._window(rng, cv2.boundingRect(union), height, width)
        source, target = self._parts(window, height, width)
        results['img'] = [self._cut(image, source, target, _MEAN_BGR) for image in results['img']]
        results['gt_masks'] = [
            self._cut_masks(masks, source, target) for masks in results['gt_masks']
        ]
        results['img_shape'] = [(self.size, self.size)] * len(results['img'])
        results['inside'] = [target] * len(results['img'])
        return results if results['gt_masks'][0].masks.any(axis=(1, 2)).all() else None

    def _window(
        self, rng: np.random.Generator, box: Sequence[int], height: int, width: int
    ) -> tuple[int, int, int, int]:
        """x, y, w, h of a window that may reach beyond the frame."""
        x, y, w, h = box
        longer = max(w, h)
        side = max(longer * rng.uniform(*self.context), self.size / _ZOOM)
        side = min(side, max(_LARGEST * min(height, width), _ROOM * longer))
        stretch = rng.uniform(1 - _STRETCH, 1 + _STRETCH)
        columns, rows = round(side * stretch), round(side / stretch)
        left = _placed(rng, x, w, columns, width)
        top = _placed(rng, y, h, rows, height)
        return left, top, columns, rows

    def _parts(
        self, window: tuple[int, int, int, int], height: int, width: int
    ) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
        """Box of the frame that the window shows, and where it lies in the result."""
        x, y, w, h = window
        source = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        scale = np.array([self.size / w, self.size / h] * 2)
        left, top, right, bottom = (
            int(value) for value in np.rint((np.array(source) - (x, y, x, y)) * scale)
        )
        return source, (left, top, max(right, left + 1), max(bottom, top + 1))

    def _cut(
        self,
        picture: np.ndarray,
        source: tuple[int, int, int, int],
        target: tuple[int, int, int, int],
        outside: tuple[float, ...],
    ) -> np.ndarray:
        """The part ``source`` of an (H, W[, 3]) uint8 picture, at ``target`` in size x size pixels
        of color ``outside``.
        """
        left, top, right, bottom = target
        part = picture[source[1] : source[3], source[0] : source[2]]
        shrinks = max(part.shape[0] / (bottom - top), part.shape[1] / (right - left)) > 1.5
        part = cv2.resize(
            part,
            (right - left, bottom - top),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
        return cv2.copyMakeBorder(
            part,
            top,
            self.size - bottom,
            left,
            self.size - right,
            cv2.BORDER_CONSTANT,
            value=outside,
        )

    def _cut_masks(
        self,
        masks: BitmapMasks,
        source: tuple[int, int, int, int],
        target: tuple[int, int, int, int],
    ) -> BitmapMasks:
        cut = [self._cut(mask * np.uint8(255), source, target, (0,)) >= 128 for mask in masks.masks]
        return BitmapMasks(np.stack(cut).view(np.uint8), self.size, self.size)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size}, context={self.context})'


def _placed(rng: np.random.Generator, start: int, length: int, window: int, frame: int) -> int:
    """Start of a window on a line so that it contains [start, start + length) and not too much
    beyond the frame.
    """
    drawn = start + length / 2 - window / 2 + rng.uniform(-0.5, 0.5) * max(window - length, 0)
    beyond = _BEYOND * window
    return round(min(max(drawn, min(0, frame - window) - beyond), max(0, frame - window) + beyond))
