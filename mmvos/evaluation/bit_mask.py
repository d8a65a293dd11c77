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

_BITS = 64  # of a word
_WORD_BYTES = _BITS // 8
_WIDEST_SHIFT = 32  # pixels by which rows are widened at once


@dataclass(frozen=True)
class BitMask:
    """A cut of a binary frame.

    Attributes:
        top: frame row of the first row; negative where the margin leaves the frame.
        left: word column of the first word; negative where the margin leaves the frame.
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
    assert mask.ndim == 2, mask.shape
    assert mask.dtype == bool, mask.dtype
    shape = (mask.shape[0], mask.shape[1])
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if width == 0:
        return BitMask(0, 0, np.zeros((0, 0), np.uint64), shape)

    # the word columns that hold set pixels, as bytes
    first = x // _BITS
    last = (x + width - 1) // _BITS
    columns = slice(first * _BITS, (last + 1) * _BITS)
    rows = slice(y, y + height)
    packed = np.packbits(mask[rows, columns], axis=1, bitorder='little')

    # the same on a canvas with the margin, which is of whole words on the left and on the right
    side = math.ceil(margin / _BITS)
    words = last - first + 1 + 2 * side
    canvas = np.zeros((height + 2 * margin, _WORD_BYTES * words), np.uint8)
    start = _WORD_BYTES * side
    canvas[margin : margin + height, start : start + packed.shape[1]] = packed
    return BitMask(y - margin, first - side, canvas.view('<u8'), shape)


def contour(mask: BitMask) -> BitMask:
    """Pixels that differ from their right, lower or lower right neighbor, in the same cut.

    What is outside the frame is no neighbor: a mask that fills the frame has no contour.
    """
    # where a pixel differs from each of the three neighbors
    words = mask.words
    lower = np.zeros_like(words)
    lower[:-1] = words[1:]
    right = words ^ _shift(words, -1)
    below = words ^ lower
    diagonal = words ^ _shift(lower, -1)

    # the frame's last row has no lower neighbors, its last column none to the right
    height, width = mask.shape
    last_row = height - 1 - mask.top
    if last_row < len(words):
        below[last_row] = 0
        diagonal[last_row] = 0
    last_column = width - 1 - mask.left * _BITS
    last_word = last_column // _BITS
    if last_word < words.shape[1]:
        all_but_last = ~np.uint64(1 << last_column % _BITS)
        right[:, last_word] &= all_but_last
        diagonal[:, last_word] &= all_but_last

    # nothing is drawn outside the frame
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
    wide = mask.words  # the mask, widened by `width` pixels on each side
    width = 0
    result = np.zeros_like(wide)

    # from the disk's shortest row, which is `radius` rows away, to its longest
    for offset in range(radius, -1, -1):
        half = math.isqrt(radius * radius - offset * offset)
        while width < half:
            # 2 * width + 1 is the longest step that leaves no gap
            step = min(half - width, 2 * width + 1, _WIDEST_SHIFT)
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
    """Count the pixels that are set in two cuts of frames of one size."""
    assert first.shape == second.shape, (first.shape, second.shape)
    # The window, in rows and word columns of the frame, that both cuts cover.
    first_rows, first_columns = first.words.shape
    second_rows, second_columns = second.words.shape
    top = max(first.top, second.top)
    left = max(first.left, second.left)
    bottom = min(first.top + first_rows, second.top + second_rows)
    right = min(first.left + first_columns, second.left + second_columns)
    if bottom <= top or right <= left:
        return 0

    first_part = _part(first, top, left, bottom, right)
    second_part = _part(second, top, left, bottom, right)
    return _count(first_part & second_part)


def _part(mask: BitMask, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint64]:
    """The words of a cut in a window given by rows and word columns of the frame."""
    rows = slice(top - mask.top, bottom - mask.top)
    columns = slice(left - mask.left, right - mask.left)
    return mask.words[rows, columns]


def _count(words: NDArray[np.uint64]) -> int:
    if words.size == 0:
        return 0
    return int(cv2.norm(words.view(np.uint8), cv2.NORM_HAMMING))


def _shift(words: NDArray[np.uint64], step: int) -> NDArray[np.uint64]:
    """Move all pixels `step` columns to the right (0 < |step| < 64); rows run into each other,
    hence the margin.
    """
    flat = words.ravel()
    distance = np.uint64(abs(step))
    rest = np.uint64(_BITS - abs(step))
    if step > 0:
        moved = flat << distance
        carried = flat[:-1] >> rest  # from the word on the left
        moved[1:] |= carried
    else:
        moved = flat >> distance
        carried = flat[1:] << rest  # from the word on the right
        moved[:-1] |= carried
    return moved.reshape(words.shape)
