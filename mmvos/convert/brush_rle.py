"""Brush masks of Label Studio: run lengths of RGBA pixels, packed into bits (the format of the
library rle-pack, which its page uses).

A head of 32 bits for the number of values, 5 for the bits of a value less 1, and four times 4 for
the bits of the four kinds of counts less 1. Then blocks: a bit that says whether one value is
repeated, 2 bits for the kind of the count, the count less 1, and the value or the values. H, W: the
mask's height and width; each pixel is four values, its alpha the last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmvos.convert.annotation_model import ConversionError

_VALUE_BITS = 8
_COUNT_BITS = (3, 4, 8, 16)
_CHANNELS = 4
_ALPHA = 3
_MOST_PIXELS = 1 << 28


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """Encode a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        The bytes.
    """
    # 1. Runs of equal pixels, row by row.
    flat = mask.reshape(-1)
    begins = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = np.diff(begins, append=flat.size) * _CHANNELS

    # 2. The head.
    bits = [f'{flat.size * _CHANNELS:032b}', f'{_VALUE_BITS - 1:05b}']
    bits += [f'{count - 1:04b}' for count in _COUNT_BITS]

    # 3. A block for each run; one that is too long for a count takes several.
    for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True):
        value = 255 if flat[begin] else 0
        while length > 0:
            part = min(length, 1 << _COUNT_BITS[-1])
            kind = next(k for k, count in enumerate(_COUNT_BITS) if part <= 1 << count)
            bits.append(f'1{kind:02b}{part - 1:0{_COUNT_BITS[kind]}b}{value:0{_VALUE_BITS}b}')
            length -= part

    # 4. Eight bits are a byte.
    text = ''.join(bits)
    text += '0' * (-len(text) % 8)
    return [int(text[place : place + 8], 2) for place in range(0, len(text), 8)]


def decode_brush(data: Sequence[int], height: int, width: int, where: str) -> NDArray[np.bool_]:
    """Decode a mask.

    Args:
        data: the bytes.
        height, width: of the mask.
        where: what it is called in messages.

    Returns:
        (H, W) bool: where alpha is not 0.

    Raises:
        ConversionError: these are not the bytes of a mask of this size.
    """
    fault = ConversionError(
        f'{where}: its rle holds no brush mask of {height} x {width} (height x width).'
    )
    if not 0 < height * width <= _MOST_PIXELS:
        raise fault
    try:
        values = _unpack(bytes(data), height * width * _CHANNELS)
    except (ValueError, TypeError, OverflowError):
        raise fault from None
    alpha: NDArray[np.bool_] = values.reshape(height, width, _CHANNELS)[..., _ALPHA] > 0
    return alpha


def _unpack(data: bytes, size: int) -> NDArray[np.int64]:
    """The values of packed runs.

    Raises:
        ValueError: there are not as many as ``size``, or the bits end before.
    """
    text = ''.join(f'{byte:08b}' for byte in data)
    place = 0

    def read(count: int) -> int:
        nonlocal place
        part = text[place : place + count]
        if len(part) < count:
            raise ValueError('the bits end too early')
        place += count
        return int(part, 2)

    if read(32) != size:
        raise ValueError('another number of values')
    value_bits = read(5) + 1
    count_bits = [read(4) + 1 for _ in range(4)]
    values = np.zeros(size, np.int64)
    done = 0
    while done < size:
        is_repeated = read(1)
        count = read(count_bits[read(2)]) + 1
        if done + count > size:
            raise ValueError('too many values')
        if is_repeated:
            values[done : done + count] = read(value_bits)
        else:
            values[done : done + count] = [read(value_bits) for _ in range(count)]
        done += count
    return values
