"""Gray, tinted and blurred crops of a pair (Wang et al., CVPR 2019, as their code does it)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvos.deprecation import accept_old_options
from mmvos.registry import TRANSFORMS

# Standard deviations of the offsets of B, G and R in the published code: the lengths of the rows of
# the matrix that it multiplies three normal numbers with. The rows are at right angles, so the
# offsets of the channels have nothing to do with one another.
_OFFSET_STD = np.array([8.2377, 2.5197, 1.2043])
_LONGEST = 45  # pixels


@TRANSFORMS.register_module()
@accept_old_options(removed=('tint',))
class ColorPair(BaseTransform):
    """Both crops turn gray together; each gets an offset of its color, and the search image may be
    blurred.

    Draws from numpy's global generator.

    Args:
        gray: probability that both crops are gray.
        color_offset: standard deviation of the offsets, in published ones: 8.24 of 255 for blue, 2.52
            for green and 1.20 for red, each drawn for itself.
        blur: probability of a blur of 2 n + 1 pixels where n is a normal number, rounded: the mean
            along the row and that along the column, weighted with a random number w and with 1 - w.
            Half of those drawn, and those of n < 1, change nothing.
    """

    def __init__(self, gray: float = 0.25, color_offset: float = 1.0, blur: float = 0.18) -> None:
        self.gray = gray
        self.color_offset = color_offset
        self.blur = blur

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replaces ``img``, a list of (S, S, 3) uint8, template first, by float32."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        gray = rng.random() < self.gray
        images = []
        for t, image in enumerate(results['img']):
            if gray:
                image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
            offset = rng.normal(size=3) * _OFFSET_STD * self.color_offset
            image = image.astype(np.float32) + offset.astype(np.float32)  # may leave 0 to 255
            images.append(self._blurred(image, rng) if t else image)
        return dict(results, img=images)

    def _blurred(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = 2 * round(float(rng.normal())) + 1
        if rng.random() >= self.blur or rng.random() < 0.5 or size < 3:
            return image
        kernel = _cross_kernel(min(size, _LONGEST), float(rng.random()))
        return cv2.filter2D(image, -1, kernel)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(gray={self.gray}, color_offset={self.color_offset}, blur={self.blur})'


def _cross_kernel(size: int, column_weight: float) -> np.ndarray:
    """The (size, size) kernel of a mean along the column and one along the row; its sum is 1."""
    kernel = np.zeros((size, size), dtype=np.float32)
    kernel[:, size // 2] += column_weight / size
    kernel[size // 2] += (1 - column_weight) / size
    return kernel
