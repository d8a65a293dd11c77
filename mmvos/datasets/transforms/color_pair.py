"""Gray, tinted and blurred crops of a pair."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvos.registry import TRANSFORMS

# Principal components of the colors of ImageNet's images, B, G, R (rows), and their spread
# (Krizhevsky et al., NIPS 2012).
_COMPONENTS = np.array(
    [[-0.5836, -0.6948, 0.4203], [-0.5808, -0.0045, -0.8140], [-0.5675, 0.7192, 0.4009]]
)
_SPREAD = np.array([55.46, 4.794, 1.148])
_LONGEST = 45  # pixels


@TRANSFORMS.register_module()
class ColorPair(BaseTransform):
    """Both crops turn gray together; each gets an offset of its color, and the search image may be
    blurred.

    Draws from numpy's global generator.

    Args:
        gray: probability that both crops are gray.
        tint: the color offset's standard deviation over that of ImageNet's colors; 0.1 changes the
            brightness by some 6 of 255.
        blur: probability of a blur along rows and columns with random weights, of 2 n + 1 pixels
            where n is a normal number, rounded; half of those drawn, and those of n < 1, change
            nothing.
    """

    def __init__(self, gray: float = 0.25, tint: float = 0.1, blur: float = 0.18) -> None:
        self.gray, self.tint, self.blur = gray, tint, blur

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replaces ``img``, a list of (S, S, 3) uint8, template first, by float32."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        gray = rng.random() < self.gray
        images = []
        for t, image in enumerate(results['img']):
            if gray:
                image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
            offset = _COMPONENTS @ (rng.normal(size=3) * _SPREAD) * self.tint
            image = image.astype(np.float32) + offset.astype(np.float32)  # may leave 0 to 255
            images.append(self._blurred(image, rng) if t else image)
        return dict(results, img=images)

    def _blurred(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = 2 * round(float(rng.normal())) + 1
        if rng.random() >= self.blur or rng.random() < 0.5 or size < 3:
            return image
        size = min(size, _LONGEST)
        kernel = np.zeros((size, size), dtype=np.float32)
        row, column = rng.random(2)
        kernel[size // 2] += row
        kernel[:, size // 2] += column
        return cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1e-6))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(gray={self.gray}, tint={self.tint}, blur={self.blur})'
