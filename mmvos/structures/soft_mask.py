"""The probabilities of an object in a frame, of which most are 0.

H, W: the height and width of the frame in original pixels.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rle import tight_box

LARGEST = 65535  # stands for a probability of 1
_COMPRESSION = 1  # fast


@dataclass(frozen=True)
class SoftMask:
    """Probabilities in a rectangle of a frame; outside of it they are 0.

    Attributes:
        top, left: the rectangle's first pixel.
        values: (h, w) uint16, `LARGEST` for 1.
    """

    top: int
    left: int
    values: NDArray[np.uint16]

    def full(self, height: int, width: int) -> NDArray[np.uint16]:
        """Return the probabilities of the whole frame: (H, W) uint16."""
        h, w = self.values.shape
        bottom = self.top + h
        right = self.left + w
        whole = np.zeros((height, width), np.uint16)
        whole[self.top : bottom, self.left : right] = self.values
        return whole

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain values for a journal; `from_plain` gives it back bit by bit."""
        packed = zlib.compress(self.values.tobytes(), _COMPRESSION)
        return {
            'top': int(self.top),
            'left': int(self.left),
            'shape': list(self.values.shape),
            'packed': base64.b64encode(packed).decode('ascii'),
        }


def from_plain(plain: Mapping[str, Any]) -> SoftMask:
    """Make a soft mask of what `SoftMask.to_plain` gave."""
    packed = base64.b64decode(plain['packed'])
    content = zlib.decompress(packed)
    values = np.frombuffer(content, np.uint16)
    return SoftMask(
        plain['top'],
        plain['left'],
        values.reshape(plain['shape']),
    )


def soft_mask(probabilities: NDArray[np.float32]) -> SoftMask:
    """Make a soft mask of (H, W) probabilities in [0, 1]."""
    scaled = np.round(probabilities * LARGEST)
    values = scaled.clip(0, LARGEST).astype(np.uint16)
    # The rectangle of what is not 0.
    box = tight_box(values > 0)
    left, top, right, bottom = box or (0, 0, 0, 0)
    inside = values[top:bottom, left:right]
    return SoftMask(top, left, np.ascontiguousarray(inside))
