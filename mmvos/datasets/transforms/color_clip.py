"""Random brightness, contrast and saturation of a clip."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvos.deprecation import accept_old_options
from mmvos.registry import TRANSFORMS

BRIGHTNESS = 25  # largest offset to each side, in values of 0 to 255
CONTRAST = 0.2  # the factor lies between 1 - x and 1 + x
SATURATION = 0.3  # likewise
FLICKER = 0.2  # probability that a frame is brighter or darker than the others

_GRAY_BGR = (0.114, 0.587, 0.299)
_MIDDLE = 117  # gray value that contrast leaves alone


@TRANSFORMS.register_module()
@accept_old_options(removed=('brightness', 'contrast', 'saturation', 'flicker'))
class ColorClip(BaseTransform):
    """Change all frames of a clip alike, and some frames a little more.

    A single frame gets up to half of ``BRIGHTNESS`` on top, as by a camera's automatic exposure.
    Draws from numpy's global generator.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``, a list over T of (H, W, 3) uint8."""
        rng = np.random.default_rng(np.random.randint(1 << 31))

        # One change of color for the whole clip.
        brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS)
        contrast = 1 + rng.uniform(-CONTRAST, CONTRAST)
        saturation = 1 + rng.uniform(-SATURATION, SATURATION)
        gray = np.array(_GRAY_BGR)

        # (3, 3): from the channels of a pixel to its new ones, all channels towards their gray
        matrix = contrast * (saturation * np.eye(3) + (1 - saturation) * gray)
        frames = []
        for image in results['img']:
            # An offset of this frame alone.
            extra = 0.0
            if rng.random() < FLICKER:
                extra = rng.uniform(-0.5, 0.5) * BRIGHTNESS
            offset = brightness + extra + _MIDDLE * (1 - contrast)

            # (3, 4)
            affine = np.column_stack([matrix, np.full(3, offset)])
            frames.append(cv2.transform(image, affine.astype(np.float32)))
        results['img'] = frames
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
