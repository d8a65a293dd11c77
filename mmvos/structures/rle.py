"""Run-length encoded masks, the form in which masks leave a video model and stand in results files;
and the box of a mask.

An ``RLE`` is the COCO dict ``{'size': [H, W], 'counts': str}``: the mask in column-major order as
alternating runs of 0 and 1, compressed as pycocotools does. Everything here is numpy; H, W are the
frame's height and width in original pixels.
"""

from __future__ import annotations

from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

Box = tuple[int, int, int, int]


class RLE(TypedDict):
    """Compressed COCO run-length encoding: ``size`` is [H, W], ``counts`` the compressed string."""

    size: list[int]
    counts: str


def encode(mask: NDArray[np.bool_]) -> RLE:
    """Encode one mask.

    Args:
        mask: (H, W) bool.
    """
    return encode_crop(mask, 0, 0, mask.shape[0], mask.shape[1])


def encode_crop(crop: NDArray[np.bool_], top: int, left: int, height: int, width: int) -> RLE:
    """Encode a mask that is false outside a rectangle, without building the full frame.

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

    # A run that reaches the frame's last pixel ends with the frame.
    num_pixels = height * width
    switches = _switches(crop, top, left, height)
    switches = switches[switches < num_pixels]

    # The lengths of the runs, the first one of zeros.
    counts = np.diff(switches, prepend=0, append=num_pixels)
    uncompressed = {'size': [height, width], 'counts': counts.tolist()}
    compressed = coco_mask.frPyObjects(uncompressed, height, width)
    text = compressed['counts'].decode('ascii')
    return RLE(size=[int(height), int(width)], counts=text)


def _switches(crop: NDArray[np.bool_], top: int, left: int, height: int) -> NDArray[np.int64]:
    """Positions, in column-major order of the full frame, where the mask changes its value."""
    # (w, h)
    columns = np.ascontiguousarray(crop.T, dtype=np.int8)

    # (w, h + 1): +1 where a run begins, -1 behind its end
    steps = np.diff(columns, axis=1, prepend=0, append=0)
    column, row = np.nonzero(steps)
    positions = (column + left) * height + row + top

    # A run that reaches the lower edge and goes on at the top of the next column is one run.
    is_joined = positions[1:] == positions[:-1]
    is_kept = np.ones(len(positions), dtype=bool)
    is_kept[1:] &= ~is_joined
    is_kept[:-1] &= ~is_joined
    switches: NDArray[np.int64] = positions[is_kept].astype(np.int64)
    return switches


def decode(rle: RLE) -> NDArray[np.bool_]:
    """Decode one mask to (H, W) bool."""
    return np.asarray(coco_mask.decode(_as_bytes(rle)), dtype=bool)


def area(rle: RLE) -> int:
    """Return the number of pixels of a mask."""
    return int(coco_mask.area(_as_bytes(rle)))


def bounding_box(rle: RLE) -> tuple[float, float, float, float]:
    """Return the tight box (x1, y1, x2, y2), continuous.

    A single pixel at the origin has (0, 0, 1, 1), an empty mask (0, 0, 0, 0).
    """
    x, y, w, h = (float(value) for value in coco_mask.toBbox(_as_bytes(rle)))
    return x, y, x + w, y + h


def tight_box(mask: NDArray[np.bool_] | NDArray[np.uint8]) -> Box | None:
    """Return the smallest box around the pixels of a mask.

    Args:
        mask: (H, W) bool, or uint8 where every value but 0 belongs to the object.

    Returns:
        x1, y1, x2, y2 in pixels, the ends not included: a single pixel at the origin has
        (0, 0, 1, 1). None for an empty mask.
    """
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    x, y, width, height = cv2.boundingRect(pixels)
    if width == 0:
        return None
    return x, y, x + width, y + height


def _as_bytes(rle: RLE) -> dict[str, object]:
    return {'size': rle['size'], 'counts': rle['counts'].encode('ascii')}
