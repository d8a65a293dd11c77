"""Run-length encoded masks, the form in which masks leave a video model and stand in results files.

An ``RLE`` is the COCO dict ``{'size': [H, W], 'counts': str}``: the mask in column-major order as
alternating runs of 0 and 1, compressed as pycocotools does. Everything here is numpy; H, W are the
frame's height and width in original pixels.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


class RLE(TypedDict):
    """Compressed COCO run-length encoding: ``size`` is [H, W], ``counts`` the compressed string."""

    size: list[int]
    counts: str


def encode(mask: NDArray[np.bool_]) -> RLE:
    """Encodes one mask.

    Args:
        mask: (H, W) bool.
    """
    return encode_crop(mask, 0, 0, mask.shape[0], mask.shape[1])


def encode_crop(crop: NDArray[np.bool_], top: int, left: int, height: int, width: int) -> RLE:
    """Encodes a mask that is false outside a rectangle, without building the full frame.

    Args:
        crop: (h, w) bool, the mask inside the rectangle.
        top, left: position of the crop's first pixel in the frame; the crop must lie inside the
            frame.
        height, width: the frame's size.

    Raises:
        ValueError: the crop does not lie inside the frame.
    """
    h, w = crop.shape
    if top < 0 or left < 0 or top + h > height or left + w > width:
        raise ValueError(
            f'a crop of {h}x{w} at ({top}, {left}) does not lie inside a frame of {height}x{width}'
        )
    switches = _switches(crop, top, left, height)
    counts = np.diff(switches[switches < height * width], prepend=0, append=height * width)
    rle = coco_mask.frPyObjects({'size': [height, width], 'counts': counts.tolist()}, height, width)
    return RLE(size=[int(height), int(width)], counts=rle['counts'].decode('ascii'))


def _switches(crop: NDArray[np.bool_], top: int, left: int, height: int) -> NDArray[np.int64]:
    """Positions, in column-major order of the full frame, where the mask changes its value."""
    columns = np.ascontiguousarray(crop.T, dtype=np.int8)  # (w, h)
    # (w, h + 1), +1 a run begins, -1 it ended
    steps = np.diff(columns, axis=1, prepend=0, append=0)
    column, row = np.nonzero(steps)
    positions = (column + left) * height + row + top
    # A run that reaches the lower edge and goes on at the top of the next column is one run.
    joined = positions[1:] == positions[:-1]
    keep = np.ones(len(positions), dtype=bool)
    keep[1:] &= ~joined
    keep[:-1] &= ~joined
    switches: NDArray[np.int64] = positions[keep].astype(np.int64)
    return switches


def decode(rle: RLE) -> NDArray[np.bool_]:
    """Decodes one mask to (H, W) bool."""
    return np.asarray(coco_mask.decode(_as_bytes(rle)), dtype=bool)


def area(rle: RLE) -> int:
    """Number of pixels of a mask."""
    return int(coco_mask.area(_as_bytes(rle)))


def bounding_box(rle: RLE) -> tuple[float, float, float, float]:
    """Tight box (x1, y1, x2, y2), continuous: a single pixel at the origin has (0, 0, 1, 1); an
    empty mask (0, 0, 0, 0).
    """
    x, y, w, h = (float(value) for value in coco_mask.toBbox(_as_bytes(rle)))
    return x, y, x + w, y + h


def _as_bytes(rle: RLE) -> dict[str, object]:
    return {'size': rle['size'], 'counts': rle['counts'].encode('ascii')}
