"""Cutting one window out of all frames of a clip, around its object.

A box is x1, y1, x2, y2 in pixels, ints, the ends not included; T frames of H x W pixels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from mmvos.deprecation import accept_old_options
from mmvos.option_ranges import COUNT, options_in
from mmvos.registry import TRANSFORMS
from mmvos.structures.rle import Box, tight_box

# Bounds of the window's side over the longer side of the object's box in all frames.
CONTEXT = (1.8, 3.5)

_MEAN_BGR = (103.53, 116.28, 123.675)
_STRETCH = 0.1  # the window's sides differ by up to this share
_MAX_SIDE = 1.4  # of the window over the frame's shorter side,
_MIN_CONTEXT = 1.2  # unless the object needs more: over the longer side of its box
_MAX_ZOOM = 3  # a small object is not enlarged more than this
_MAX_BEYOND = 0.1  # share of the window that may reach beyond the frame without need


@TRANSFORMS.register_module()
@accept_old_options(removed=('context',))
@options_in(COUNT, 'size')
class CropClip(BaseTransform):
    """Cut the same nearly square window out of all frames and resize it to size x size.

    The window contains the box of the object in all frames, at a random place. Its side is 1.8 to
    3.5 times the longer side of that box, but at most 1.4 times the frame's shorter side, or 1.2
    times that of the box. Outside the frame it has ImageNet's mean color. Draws from numpy's global
    generator.

    Args:
        size: side of the result in pixels.
    """

    def __init__(self, size: int = 384) -> None:
        self.size = size

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Replace ``img``, ``img_shape`` and ``gt_masks`` and add ``inside``; see the class.

        ``inside`` is the box in which the result shows the frame, for each frame.

        Returns:
            The results; None (draw another clip) if nothing of the object is left in the first
            frame.
        """
        rng = np.random.default_rng(np.random.randint(1 << 31))
        images = results['img']
        height, width = images[0].shape[:2]

        # The window contains every place at which an object is during the clip.
        per_frame = [masks.masks.max(axis=0) for masks in results['gt_masks']]
        box = tight_box(np.maximum.reduce(per_frame)) or (0, 0, 0, 0)
        window = self._draw_window(rng, box, height, width)

        # Which part of the frame the window shows, and where.
        source, target = self._visible_parts(window, height, width)
        results['img'] = [self._cut(image, source, target, _MEAN_BGR) for image in images]
        masks = [
            self._cut_masks(frame_masks, source, target) for frame_masks in results['gt_masks']
        ]
        results['gt_masks'] = masks
        results['img_shape'] = [(self.size, self.size)] * len(images)
        results['inside'] = [target] * len(images)

        # (K,): which objects can be seen in the first frame
        is_visible = masks[0].masks.any(axis=(1, 2))
        return results if is_visible.all() else None

    def _draw_window(self, rng: np.random.Generator, box: Box, height: int, width: int) -> Box:
        """A window around a box; it may reach beyond the frame of H x W."""
        x1, y1, x2, y2 = box
        object_side = max(x2 - x1, y2 - y1)

        # The side: some context, no large zoom, and not much more than the frame.
        side = max(object_side * rng.uniform(*CONTEXT), self.size / _MAX_ZOOM)
        max_side = max(_MAX_SIDE * min(height, width), _MIN_CONTEXT * object_side)
        side = min(side, max_side)

        # Nearly square.
        stretch = rng.uniform(1 - _STRETCH, 1 + _STRETCH)
        columns = round(side * stretch)
        rows = round(side / stretch)

        # The place.
        left = _draw_start(rng, x1, x2, columns, width)
        top = _draw_start(rng, y1, y2, rows, height)
        return left, top, left + columns, top + rows

    def _visible_parts(self, window: Box, height: int, width: int) -> tuple[Box, Box]:
        """The part of the frame that the window shows, and where it lies in the result."""
        x1, y1, x2, y2 = window
        source = (max(x1, 0), max(y1, 0), min(x2, width), min(y2, height))
        scale_x = self.size / (x2 - x1)
        scale_y = self.size / (y2 - y1)
        frame_left, frame_top, frame_right, frame_bottom = source
        left = round((frame_left - x1) * scale_x)
        top = round((frame_top - y1) * scale_y)
        right = round((frame_right - x1) * scale_x)
        bottom = round((frame_bottom - y1) * scale_y)

        # At least one pixel.
        target = (left, top, max(right, left + 1), max(bottom, top + 1))
        return source, target

    def _cut(
        self, image: np.ndarray, source: Box, target: Box, outside: tuple[float, ...]
    ) -> np.ndarray:
        """Put a part of an image into size x size pixels.

        Args:
            image: (H, W) or (H, W, 3) uint8.
            source: box of the part in the image.
            target: box of the part in the result.
            outside: color around it.
        """
        left, top, right, bottom = target
        width = right - left
        height = bottom - top
        part = image[source[1] : source[3], source[0] : source[2]]

        # Averages over areas where a pixel of the result stands for several.
        shrinkage = max(part.shape[0] / height, part.shape[1] / width)
        interpolation = cv2.INTER_AREA if shrinkage > 1.5 else cv2.INTER_LINEAR
        part = cv2.resize(part, (width, height), interpolation=interpolation)
        return cv2.copyMakeBorder(
            part,
            top,
            self.size - bottom,
            left,
            self.size - right,
            cv2.BORDER_CONSTANT,
            value=outside,
        )

    def _cut_masks(self, masks: BitmapMasks, source: Box, target: Box) -> BitmapMasks:
        """The same part of K masks; a pixel is the object's from half of it on."""
        cut = []
        for mask in masks.masks:
            full = mask * np.uint8(255)
            shares = self._cut(full, source, target, (0,))
            cut.append(shares >= 128)
        pixels = np.stack(cut).view(np.uint8)
        return BitmapMasks(pixels, self.size, self.size)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'


def _draw_start(rng: np.random.Generator, start: int, end: int, window: int, frame: int) -> int:
    """Where a window of ``window`` pixels begins on a line of ``frame`` pixels.

    It contains the pixels from ``start`` to ``end`` and does not reach far beyond the frame.
    """
    length = end - start

    # Anywhere around the object,
    spare = max(window - length, 0)
    drawn = start + length / 2 - window / 2 + rng.uniform(-0.5, 0.5) * spare

    # but beyond the frame by no more than a share of the window, or what does not fit.
    beyond = _MAX_BEYOND * window
    lowest = min(0, frame - window) - beyond
    highest = max(0, frame - window) + beyond
    return round(min(max(drawn, lowest), highest))
