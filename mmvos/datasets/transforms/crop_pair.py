"""Cutting template and search image of a pair out of their frames (Wang et al., CVPR 2019; Li et
al., CVPR 2018).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from mmvos.ops.siamese_geometry import TEMPLATE_SIZE, context_side
from mmvos.option_ranges import COUNT, NOT_NEGATIVE, SHARE, Range, options_in
from mmvos.registry import TRANSFORMS

_MIN_MASK_SHARE = 0.5  # of a pixel of the crop, above which it belongs to the object
_PUBLISHED_MIN_MASK_SHARE = 0.2
_PUBLISHED_BOX_SHIFT = 0.5  # pixels of the frame, in x and in y


@TRANSFORMS.register_module()
@options_in(COUNT, 'search_size')
@options_in(NOT_NEGATIVE, 'template_shift', 'search_shift')
@options_in(Range(0, 1, has_high=False), 'template_scale', 'search_scale')
@options_in(SHARE, 'flip')
class CropPair(BaseTransform):
    """Cut a square around the object out of each frame, moved and stretched a little.

    A box of w x h pixels has the context c = (w + h) / 2; a square of side sqrt((w + c)(h + c))
    around it becomes 127 pixels wide, and both images of a pair show their object in this size;
    where the box of the frame before is known (``last_bbox``), the search image is cut around that
    one, as a tracker does. Outside of the frame is the frame's mean color. A pixel of the crop is
    the object's where its mask has more than half of it. Draws from numpy's global generator.

    Where ``published_crop`` is true, boxes and masks are those of the published crops of
    YouTube-VOS: the box is taken half a pixel of the frame to the right and below, .08 pixels of
    the crop on average, and a fifth of a pixel is enough for a mask.

    After it, ``gt_bboxes`` are in pixels of the crop with the origin in the center of its first
    pixel, as anchors are.

    Args:
        search_size: side of the search image in pixels; the template has 127.
        template_shift, search_shift: the object's center is off the crop's by at most this in x and
            in y, in pixels of the crop before it is stretched.
        template_scale, search_scale: width, height and the way of the center are divided by factors
            between 1 - x and 1 + x, one for x and one for y.
        flip: probability that both crops are mirrored.
    """

    def __init__(
        self,
        search_size: int = 255,
        template_shift: float = 4,
        search_shift: float = 64,
        template_scale: float = 0.05,
        search_scale: float = 0.18,
        flip: float = 0.0,
    ) -> None:
        # Of template and search image.
        self.sizes = (TEMPLATE_SIZE, search_size)
        self.shifts = (template_shift, search_shift)
        self.scales = (template_scale, search_scale)
        self.flip = flip

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``, ``img_shape``, ``gt_bboxes`` ((1, 4) float32) and ``gt_masks``."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        flip = bool(rng.random() < self.flip)
        last_boxes = results.get('last_bbox', (None, None))
        is_published = results.get('published_crop', (False, False))
        images = []
        boxes = []
        masks = []
        for t, size in enumerate(self.sizes):
            image = results['img'][t]
            box = results['gt_bboxes'][t]
            last_box = last_boxes[t]

            # Shift and stretch in x and y, as shares of the largest.
            shift, stretch = rng.uniform(-1, 1, (2, 2))
            min_share = _MIN_MASK_SHARE
            if is_published[t]:
                min_share = _PUBLISHED_MIN_MASK_SHARE
                box = box + _PUBLISHED_BOX_SHIFT
                if last_box is not None:
                    last_box = last_box + _PUBLISHED_BOX_SHIFT

            # (2, 3): from the frame to the crop around this box
            center_box = box[0] if last_box is None else last_box
            stretch = 1 + stretch * self.scales[t]
            matrix = _crop_matrix(center_box, size, shift * self.shifts[t], stretch)
            if flip:
                mirror = np.array([[-1, 0, size - 1], [0, 1, 0]])
                matrix = mirror @ np.vstack([matrix, (0, 0, 1)])

            # Image, box and mask go the same way.
            crop = cv2.warpAffine(image, matrix, (size, size), borderValue=cv2.mean(image))
            images.append(crop)
            boxes.append(_transform_box(box, matrix))
            mask = results['gt_masks'][t].masks[0] * np.uint8(255)
            shares = cv2.warpAffine(mask, matrix, (size, size))
            is_object = shares > 255 * min_share
            masks.append(BitmapMasks(is_object.view(np.uint8)[None], size, size))
        return dict(
            results,
            img=images,
            img_shape=[(size, size) for size in self.sizes],
            gt_bboxes=boxes,
            gt_masks=masks,
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(sizes={self.sizes}, shifts={self.shifts}, '
            f'scales={self.scales}, flip={self.flip})'
        )


def _crop_matrix(box: np.ndarray, size: int, shift: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """The matrix from pixels of the frame to pixels of the crop.

    Both have their origin in the center of the first pixel.

    Args:
        box: (4,) xyxy, continuous pixels.
        size: side of the crop.
        shift: (2,) x, y in pixels of the crop.
        stretch: (2,) what both sides and the shift are divided by.

    Returns:
        (2, 3).
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    width = x2 - x1
    height = y2 - y1
    # (2,): the square with its context becomes as wide as the template, in both images
    factors = TEMPLATE_SIZE / context_side(width, height) / stretch
    # (2,): the box's center comes to the crop's middle, shifted
    center = np.array([x1 + x2 - 1, y1 + y2 - 1]) / 2
    middle = (size - 1) / 2
    offset = middle + shift / stretch - factors * center
    return np.column_stack([np.diag(factors), offset])


def _transform_box(box: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A box of the frame in pixels of the crop with the origin in the center of the first one.

    Args:
        box: (1, 4) xyxy of continuous pixels.
        matrix: (2, 3), see ``_crop_matrix``.

    Returns:
        (1, 4) float32 xyxy.
    """
    # (2, 2): upper left and lower right corner
    corners = box.reshape(-1, 2) - 0.5
    corners = corners @ matrix[:, :2].T + matrix[:, 2]

    # A mirrored crop has them the other way around.
    low = corners.min(axis=0)
    high = corners.max(axis=0)
    return np.concatenate([low, high])[None].astype(np.float32)
