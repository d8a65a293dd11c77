"""Binary images with 64 pixels in one word: contours, exact disks and counts at memory speed.

Pure arithmetic. An image is cut to what is set plus a margin of zeros, on a grid of whole words
that all cuts of one frame share, so two cuts are compared by slicing. Bit b of word column n is the
pixel in column 64 n + b. Letters: H, W frame; h rows and n words of a cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

_BITS = 64
_WIDEST_SHIFT = 32


@dataclass(frozen=True)
class BitMask:
    """A cut of a binary frame.

    Attributes:
        top: frame row of the first row. left: word column of the first word; both are negative
            where the margin leaves the frame.
        words: (h, n) uint64.
        shape: (H, W) of the frame.
    """

    top: int
    left: int
    words: NDArray[np.uint64]
    shape: tuple[int, int]


def pack(mask: NDArray[np.bool_], margin: int) -> BitMask:
    """Cut a (H, W) bool mask to what is set and at least `margin` >= 1 pixels of zeros around
    it.
    """
    assert mask.ndim == 2 and mask.dtype == bool, (mask.shape, mask.dtype)
    shape = (mask.shape[0], mask.shape[1])
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return BitMask(0, 0, np.zeros((0, 0), np.uint64), shape)
    side = math.ceil(margin / _BITS)
    first, last = x // _BITS, (x + width - 1) // _BITS  # word columns that hold set pixels
    packed = np.packbits(
        mask[y : y + height, first * _BITS : (last + 1) * _BITS], axis=1, bitorder='little'
    )
    canvas = np.zeros((height + 2 * margin, (last - first + 1 + 2 * side) * 8), np.uint8)
    canvas[margin : margin + height, 8 * side : 8 * side + packed.shape[1]] = packed
    return BitMask(y - margin, first - side, canvas.view('<u8'), shape)


def contour(mask: BitMask) -> BitMask:
    """Pixels that differ from their right, lower or lower right neighbor, in the same cut.

    What is outside the frame is no neighbor: a mask that fills the frame has no contour.
    """
    words = mask.words
    lower = np.zeros_like(words)
    lower[:-1] = words[1:]
    right = words ^ _shift(words, -1)
    below = words ^ lower
    diagonal = words ^ _shift(lower, -1)
    last_row, last_column = mask.shape[0] - 1 - mask.top, mask.shape[1] - 1 - mask.left * _BITS
    if last_row < len(words):
        below[last_row], diagonal[last_row] = 0, 0
    if last_column // _BITS < words.shape[1]:
        keep = ~np.uint64(1 << last_column % _BITS)
        right[:, last_column // _BITS] &= keep
        diagonal[:, last_column // _BITS] &= keep
    edge = right | below | diagonal
    if mask.top < 0:
        edge[: -mask.top] = 0
    if mask.left < 0:
        edge[:, : -mask.left] = 0
    return replace(mask, words=edge)


def dilate(mask: BitMask, radius: int) -> BitMask:
    """All pixels within `radius` of a set one (exact Euclidean disk), in the same cut.

    The cut's margin must be at least `radius` wider than what is set.
    """
    halves = [
        math.isqrt(radius * radius - offset * offset) for offset in range(radius + 1)
    ]  # of the disk's rows
    wide, width = mask.words, 0
    result = np.zeros_like(wide)
    for offset in range(radius, -1, -1):  # from the disk's shortest row to its longest
        while width < halves[offset]:
            step = min(halves[offset] - width, 2 * width + 1, _WIDEST_SHIFT)
            wide = wide | _shift(wide, step) | _shift(wide, -step)
            width += step
        if offset:
            result[offset:] |= wide[:-offset]
            result[:-offset] |= wide[offset:]
        else:
            result |= wide
    return replace(mask, words=result)


def count(mask: BitMask) -> int:
    """Number of set pixels."""
    return _count(mask.words)


def count_shared(first: BitMask, second: BitMask) -> int:
    """Number of pixels that are set in two cuts of frames of one size."""
    assert first.shape == second.shape, (first.shape, second.shape)
    top, left = max(first.top, second.top), max(first.left, second.left)
    bottom = min(first.top + len(first.words), second.top + len(second.words))
    right = min(first.left + first.words.shape[1], second.left + second.words.shape[1])
    if bottom <= top or right <= left:
        return 0
    parts = [
        one.words[top - one.top : bottom - one.top, left - one.left : right - one.left]
        for one in (first, second)
    ]
    return _count(parts[0] & parts[1])


def _count(words: NDArray[np.uint64]) -> int:
    return int(cv2.norm(words.view(np.uint8), cv2.NORM_HAMMING)) if words.size else 0


def _shift(words: NDArray[np.uint64], step: int) -> NDArray[np.uint64]:
    """Move all pixels `step` columns to the right (0 < |step| < 64); rows run into each other,
    hence the margin.
    """
    flat = words.ravel()
    if step > 0:
        moved = flat << np.uint64(step)
        moved[1:] |= flat[:-1] >> np.uint64(_BITS - step)
    else:
        moved = flat >> np.uint64(-step)
        moved[:-1] |= flat[1:] << np.uint64(_BITS + step)
    return moved.reshape(words.shape)
