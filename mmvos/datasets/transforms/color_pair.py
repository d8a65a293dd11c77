"""Gray, tinted and blurred crops of a pair (Wang et al., CVPR 2019, as their code does it)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmvos.deprecation import accept_old_options
from mmvos.option_ranges import SHARE, options_in
from mmvos.registry import TRANSFORMS

# Standard deviations of the offsets of B, G and R in the published code: the lengths of the rows of
# the matrix that it multiplies three normal numbers with. The rows are at right angles, so the
# offsets of the channels have nothing to do with one another.
OFFSET_STD = np.array([8.2377, 2.5197, 1.2043])
_MAX_KERNEL = 45  # pixels


@TRANSFORMS.register_module()
@accept_old_options(removed=('tint', 'color_offset'))
@options_in(SHARE, 'gray', 'blur')
class ColorPair(BaseTransform):
    """Both crops turn gray together; each gets an offset of its color, and the search image may be
    blurred.

    The offsets are normal numbers with a standard deviation of 8.24 (of 255) for blue, 2.52 for
    green and 1.20 for red, each drawn for itself. Draws from numpy's global generator.

    Args:
        gray: probability that both crops are gray.
        blur: probability of a blur of 2 n + 1 pixels where n is a normal number, rounded: the mean
            along the row and that along the column, weighted with a random number w and with 1 - w.
            Half of those drawn, and those of n < 1, change nothing.
    """

    def __init__(self, gray: float = 0.25, blur: float = 0.18) -> None:
        self.gray = gray
        self.blur = blur

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``, a list of (S, S, 3) uint8, template first, by float32."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        template, search = results['img']
        if rng.random() < self.gray:
            template = _gray(template)
            search = _gray(search)
        template = _offset(template, rng)
        search = _offset(search, rng)
        search = self._blur_sometimes(search, rng)
        return dict(results, img=[template, search])

    def _blur_sometimes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Blur an (S, S, 3) image with probability ``blur``; see the class."""
        size = 2 * round(float(rng.normal())) + 1
        if rng.random() >= self.blur:
            return image

        # The published code tosses a coin once more, and a mean of one pixel changes nothing.
        if rng.random() < 0.5 or size < 3:
            return image
        column_weight = float(rng.random())
        kernel = _cross_kernel(min(size, _MAX_KERNEL), column_weight)
        return cv2.filter2D(image, -1, kernel)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(gray={self.gray}, blur={self.blur})'


def _gray(image: np.ndarray) -> np.ndarray:
    """The gray values of an (S, S, 3) image, in three equal channels."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)


def _offset(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An (S, S, 3) image plus an offset of its color, float32; values may leave 0 to 255."""
    offset = rng.normal(size=3) * OFFSET_STD
    return image.astype(np.float32) + offset.astype(np.float32)


def _cross_kernel(size: int, column_weight: float) -> np.ndarray:
    """The (size, size) kernel of a mean along the column and one along the row; its sum is 1."""
    middle = size // 2
    row_weight = 1 - column_weight
    kernel = np.zeros((size, size), dtype=np.float32)
    kernel[:, middle] += column_weight / size
    kernel[middle] += row_weight / size
    return kernel
