"""A video from a still image: each frame is the image under a random motion of its own."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from mmvos.deprecation import accept_old_options, register_old_name
from mmvos.option_ranges import COUNT, POSITIVE, options_in
from mmvos.registry import TRANSFORMS
from mmvos.structures.rle import Box, tight_box

ROTATION = 20  # degrees to each side
SHEAR = 5  # degrees to each side
SHIFT = 0.15  # largest shift in each direction, over the longer side of the object's box
BEND = 0.02  # standard deviation of the random field, over the same side

_MEAN_BGR = (103.53, 116.28, 123.675)
_STEP = 16  # pixels between two points at which the motion is computed
_WAVES = 5  # the elastic part is drawn on a grid of 5 x 5 points


@TRANSFORMS.register_module()
@accept_old_options(removed=('rotation', 'shift', 'shear', 'bend'))
@options_in(COUNT, 'clip_length')
@options_in(POSITIVE, 'scale')
class SimulateMotion(BaseTransform):
    """Make a clip of ``clip_length`` frames of a clip of one; H x W stay.

    A frame's motion is a rotation, a scaling and a shear around the object's center, a shift, and a
    smooth random field. What comes from outside the image has ImageNet's mean color. Draws from
    numpy's global generator.

    Args:
        clip_length: T.
        scale: bounds of the factor, drawn uniformly on a logarithmic scale.
    """

    def __init__(self, clip_length: int = 3, scale: tuple[float, float] = (0.8, 1.25)) -> None:
        self.clip_length = clip_length
        self.scale = scale

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Repeat every list of the results, and warp ``img`` and ``gt_masks``."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        image = results['img'][0]
        masks = results['gt_masks'][0].masks  # (K, H, W)
        height, width = image.shape[:2]
        all_objects = masks.max(axis=0)
        box = tight_box(all_objects) or (0, 0, 0, 0)

        images = []
        frame_masks = []
        for _ in range(self.clip_length):
            warped, moved = self._moved(rng, image, masks, box)
            images.append(warped)
            frame_masks.append(BitmapMasks(moved, height, width))

        repeated = {}
        for key, values in results.items():
            repeated[key] = values * self.clip_length
        repeated['img'] = images
        repeated['gt_masks'] = frame_masks
        repeated['frame_id'] = list(range(self.clip_length))
        return repeated

    def _moved(
        self, rng: np.random.Generator, image: np.ndarray, masks: np.ndarray, box: Box
    ) -> tuple[np.ndarray, np.ndarray]:
        """An image (H, W, 3) and masks (K, H, W) after a random motion; masks stay 0 and 1."""
        height, width = image.shape[:2]
        map_x, map_y = self._draw_motion(rng, height, width, box)
        warped = cv2.remap(
            image,
            map_x,
            map_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_MEAN_BGR,
        )
        moved = [cv2.remap(mask, map_x, map_y, cv2.INTER_NEAREST) for mask in masks]
        return warped, np.stack(moved)

    def _draw_motion(
        self, rng: np.random.Generator, height: int, width: int, box: Box
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw where each pixel of a new frame comes from.

        Args:
            rng: draws all parts of the motion.
            height, width: H and W.
            box: of the objects.

        Returns:
            x and y, (H, W) float32.
        """
        x1, y1, x2, y2 = box
        side = max(x2 - x1, y2 - y1)

        # Rotation, shear and scale: (2, 2) from the new frame back to the image.
        angle = np.radians(rng.uniform(-ROTATION, ROTATION))
        shear = np.radians(rng.uniform(-SHEAR, SHEAR))
        factor = np.exp(rng.uniform(*np.log(self.scale)))
        sine = np.sin(angle)
        cosine = np.cos(angle)
        rotation = np.array([[cosine, -sine], [sine, cosine]])
        shearing = [[1, np.tan(shear)], [0, 1]]
        matrix = rotation @ shearing / factor
        center = np.array([(x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2])
        shift = rng.uniform(-SHIFT, SHIFT, 2) * side

        # The motion is computed at every 16th pixel: (rows, columns, 2), their x and y.
        rows = math.ceil(height / _STEP)
        columns = math.ceil(width / _STEP)
        cells = np.meshgrid(np.arange(columns), np.arange(rows))
        grid = np.stack(cells, axis=-1) * _STEP + (_STEP - 1) / 2

        # The smooth random field, from a few random vectors.
        field = rng.normal(0, BEND * side, (_WAVES, _WAVES, 2))
        field = field.astype(np.float32)
        bend = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_CUBIC)

        # Where the pixels of the grid come from.
        around_center = grid - center - shift
        source = around_center @ matrix.T + center + bend

        # Offsets are interpolated, since positions would stand still at the edges.
        offsets = (source - grid).astype(np.float32)
        whole_cells = (columns * _STEP, rows * _STEP)
        offsets = cv2.resize(offsets, whole_cells, interpolation=cv2.INTER_LINEAR)
        offsets = offsets[:height, :width]
        pixel_x = np.arange(width, dtype=np.float32)
        pixel_y = np.arange(height, dtype=np.float32)[:, None]
        return offsets[..., 0] + pixel_x, offsets[..., 1] + pixel_y

    def __repr__(self) -> str:
        return f'{type(self).__name__}(clip_length={self.clip_length}, scale={self.scale})'


@TRANSFORMS.register_module()
class SimulatePairMotion(SimulateMotion):
    """Move the second frame of a pair as ``SimulateMotion`` does, its box with its mask.

    It stays as it is where no mask is known, and where less than half of the object would be left.
    """

    def __init__(self) -> None:
        super().__init__(clip_length=2)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace the second of ``img``, ``gt_masks`` and ``gt_bboxes`` ((1, 4) float32)."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        image = results['img'][1]
        height, width = image.shape[:2]
        masks = results['gt_masks'][1].masks  # (1, H, W)
        box = tight_box(masks[0])
        if box is None:
            return results
        warped, moved = self._moved(rng, image, masks, box)
        if 2 * moved.sum() < masks.sum():
            return results
        new_box = np.array([tight_box(moved[0])], dtype=np.float32)
        return dict(
            results,
            img=[results['img'][0], warped],
            gt_masks=[results['gt_masks'][0], BitmapMasks(moved, height, width)],
            gt_bboxes=[results['gt_bboxes'][0], new_box],
        )


register_old_name(TRANSFORMS, 'WarpClip', SimulateMotion)
