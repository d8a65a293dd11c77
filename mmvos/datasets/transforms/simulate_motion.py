"""A video from a still image: each frame is the image under a random motion of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from mmvos.deprecation import register_old_name
from mmvos.registry import TRANSFORMS

_MEAN_BGR = (103.53, 116.28, 123.675)
_STEP = 16  # pixels between two points at which the motion is computed
_WAVES = 5  # the elastic part is drawn on a grid of 5 x 5 points


@TRANSFORMS.register_module()
class SimulateMotion(BaseTransform):
    """Makes a clip of ``clip_length`` frames from a clip of one; H x W stay.

    A frame's motion is a rotation, a scaling and a shear around the object's center, a shift, and a
    smooth random field. What comes from outside the image has ImageNet's mean color. Draws from
    numpy's global generator.

    Args:
        clip_length: T.
        rotation: degrees to each side.
        scale: bounds of the factor, drawn uniformly on a logarithmic scale.
        shift: largest shift in each direction, over the longer side of the object's box.
        shear: degrees to each side.
        bend: standard deviation of the field, over the longer side of the object's box.
    """

    def __init__(
        self,
        clip_length: int = 3,
        rotation: float = 20,
        scale: tuple[float, float] = (0.8, 1.25),
        shift: float = 0.15,
        shear: float = 5,
        bend: float = 0.02,
    ) -> None:
        self.clip_length, self.rotation, self.scale = clip_length, rotation, scale
        self.shift, self.shear, self.bend = shift, shear, bend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Repeats every list of the results, and warps ``img`` and ``gt_masks``."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        image, masks = results['img'][0], results['gt_masks'][0]
        height, width = image.shape[:2]
        box = cv2.boundingRect(masks.masks.max(axis=0))  # x, y, w, h
        frames = []
        for _ in range(self.clip_length):
            map_x, map_y = self._motion(rng, height, width, box)
            warped = cv2.remap(
                image,
                map_x,
                map_y,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=_MEAN_BGR,
            )
            # (K, H, W)
            moved = np.stack(
                [cv2.remap(mask, map_x, map_y, cv2.INTER_NEAREST) for mask in masks.masks]
            )
            frames.append((warped, BitmapMasks(moved, height, width)))
        results = {key: values * self.clip_length for key, values in results.items()}
        results.update(
            img=[frame[0] for frame in frames],
            gt_masks=[frame[1] for frame in frames],
            frame_id=list(range(self.clip_length)),
        )
        return results

    def _motion(
        self, rng: np.random.Generator, height: int, width: int, box: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of the new frame comes from, (H, W) float32 x and y."""
        x, y, w, h = box
        side = max(w, h)
        angle, shear = (
            np.radians(rng.uniform(-self.rotation, self.rotation)),
            np.radians(rng.uniform(-self.shear, self.shear)),
        )
        factor = np.exp(rng.uniform(*np.log(self.scale)))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn @ [[1, np.tan(shear)], [0, 1]] / factor
        center = np.array([x + (w - 1) / 2, y + (h - 1) / 2])
        shift = rng.uniform(-self.shift, self.shift, 2) * side
        rows, columns = -(-height // _STEP), -(-width // _STEP)
        # (rows, columns, 2)
        grid = (
            np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) * _STEP
            + (_STEP - 1) / 2
        )
        field = rng.normal(0, self.bend * side, (_WAVES, _WAVES, 2)).astype(np.float32)
        source = (
            (grid - center - shift) @ matrix.T
            + center
            + cv2.resize(field, (columns, rows), interpolation=cv2.INTER_CUBIC)
        )
        # Offsets are interpolated, since positions would stand still at the edges.
        offsets = cv2.resize(
            (source - grid).astype(np.float32),
            (columns * _STEP, rows * _STEP),
            interpolation=cv2.INTER_LINEAR,
        )
        offsets = offsets[:height, :width]
        return (
            offsets[..., 0] + np.arange(width, dtype=np.float32),
            offsets[..., 1] + np.arange(height, dtype=np.float32)[:, None],
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(clip_length={self.clip_length}, rotation={self.rotation}, '
            f'scale={self.scale}, '
            f'shift={self.shift}, shear={self.shear}, bend={self.bend})'
        )


register_old_name(TRANSFORMS, 'WarpClip', SimulateMotion)
