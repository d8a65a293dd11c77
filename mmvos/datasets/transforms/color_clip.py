"""Random brightness, contrast and saturation of a clip."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvos.registry import TRANSFORMS

_GRAY_BGR = (0.114, 0.587, 0.299)
_MIDDLE = 117  # gray value that contrast leaves alone


@TRANSFORMS.register_module()
class ColorClip(BaseTransform):
    """Changes all frames of a clip alike, and some frames a little more, as a camera's automatic
    exposure does.

    Draws from numpy's global generator.

    Args:
        brightness: added to the values, at most this to each side.
        contrast, saturation: factors between 1 - x and 1 + x.
        flicker: probability of a frame to be brighter or darker than the others by up to half of
            ``brightness``.
    """

    def __init__(
        self,
        brightness: float = 25,
        contrast: float = 0.2,
        saturation: float = 0.3,
        flicker: float = 0.2,
    ) -> None:
        self.brightness, self.contrast, self.saturation, self.flicker = (
            brightness,
            contrast,
            saturation,
            flicker,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replaces ``img``, a list over T of (H, W, 3) uint8."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        brightness = rng.uniform(-self.brightness, self.brightness)
        contrast = 1 + rng.uniform(-self.contrast, self.contrast)
        saturation = 1 + rng.uniform(-self.saturation, self.saturation)
        mix = contrast * (saturation * np.eye(3) + (1 - saturation) * np.array(_GRAY_BGR))  # (3, 3)
        frames = []
        for image in results['img']:
            extra = rng.uniform(-0.5, 0.5) * self.brightness if rng.random() < self.flicker else 0
            offset = brightness + extra + _MIDDLE * (1 - contrast)
            frames.append(
                cv2.transform(image, np.column_stack([mix, np.full(3, offset)]).astype(np.float32))
            )
        results['img'] = frames
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, '
            f'saturation={self.saturation}, '
            f'flicker={self.flicker})'
        )
