"""Mask arithmetic: from the mask of a box to the mask of the frame, and from masks of objects that
were segmented one by one to one partition of the frame.

K objects; S x S the resolution of a box's mask; boxes are continuous xyxy in the pixels of the
H x W frame. Arrays are torch's or numpy's, see ``arrays``.
"""

from __future__ import annotations

import math

from .arrays import Array, array_namespace, device


def pad_maps(maps: Array, size: tuple[int, ...]) -> Array:
    """Pad (K, h, w) maps with 0 on the right and at the bottom to ``size``, (H, W)."""
    count, height, width = maps.shape
    if (height, width) == tuple(size):
        return maps
    xp = array_namespace(maps)
    padded = xp.zeros((count, *size), dtype=maps.dtype, device=device(maps))
    padded[:, :height, :width] = maps
    return padded


def paste_in_box(
    probabilities: Array, box: Array, height: int, width: int
) -> tuple[Array, int, int]:
    """Resample the mask of one box to the pixels that it can reach, bilinearly, with zeros around.

    Equal to sampling the mask over the whole frame with ``grid_sample(align_corners=False,
    padding_mode='zeros')``; because the sampling is separable it is two small matrix products, and
    pixels outside the box's neighborhood are never visited.

    Args:
        probabilities: (S, S) float in [0, 1].
        box: (4,) float; it may reach outside the frame.
        height, width: H and W.

    Returns:
        (h, w) float, and the row and column of its first pixel. h or w is 0 where the box lies
        outside the frame.
    """
    x1, y1, x2, y2 = box.tolist()
    size_y, size_x = probabilities.shape

    # Zero padding reaches half a mask cell beyond the box.
    cell_width = (x2 - x1) / size_x
    cell_height = (y2 - y1) / size_y
    margin_x = cell_width / 2
    margin_y = cell_height / 2
    left, right = _pixel_range(x1 - margin_x, x2 + margin_x, width)
    top, bottom = _pixel_range(y1 - margin_y, y2 + margin_y, height)

    # (h, S) and (w, S): bilinear interpolation is one matrix for each axis
    rows = _interpolation(top, bottom, y1, y2, size_y, probabilities)
    columns = _interpolation(left, right, x1, x2, size_x, probabilities)
    pasted = rows @ probabilities @ columns.T
    return pasted, top, left


def _pixel_range(low: float, high: float, size: int) -> tuple[int, int]:
    """First pixel, and one past the last, whose center can lie in [low, high], of ``size``
    pixels.
    """
    first = max(math.floor(low), 0)
    first = min(first, size)
    last = max(math.ceil(high), first)
    last = min(last, size)
    return first, last


def _interpolation(
    first: int, last: int, start: float, end: float, cells: int, like: Array
) -> Array:
    """Weights (last - first, cells) of linear interpolation at pixel centers between cell centers,
    zero outside.
    """
    # (last - first,): where the pixels' centers lie, in cells
    xp = array_namespace(like)
    centers = xp.arange(first, last, dtype=xp.float32, device=device(like)) + 0.5
    cells_per_pixel = cells / max(end - start, 1e-6)
    position = (centers - start) * cells_per_pixel - 0.5
    # A cell's weight falls from 1 at its center to 0 at its neighbors'.
    index = xp.arange(cells, device=device(like))
    distance = xp.abs(position[:, None] - index)
    weights = xp.clip(1 - distance, 0)
    return xp.astype(weights, like.dtype, copy=False)


def soft_aggregate(probabilities: Array, background: Array | None = None) -> tuple[Array, Array]:
    """Normalize the odds of all objects and of the background (Oh et al., RGMP, CVPR 2018, eq. 1).

    Args:
        probabilities: (K, H, W) in [0, 1], of each object against the rest.
        background: (H, W) in [0, 1]; the product of 1 - p over the objects by default.

    Returns:
        (K, H, W) of the objects and (H, W) of the background; they add up to 1 at every pixel.
    """
    xp = array_namespace(probabilities)
    if background is None:
        background = xp.prod(1 - probabilities, axis=0)
    # (1 + K, H, W): the background is one more class
    classes = xp.astype(xp.concat([background[None], probabilities]), xp.float32, copy=False)
    classes = xp.clip(classes, 1e-7, 1 - 1e-7)
    odds = classes / (1 - classes)
    merged = odds / xp.sum(odds, axis=0)
    return merged[1:], merged[0]


def hard_merge(probabilities: Array, first_wins: bool = False) -> Array:
    """Give each pixel to the most certain of the objects that claim it (p >= .5).

    So do MaskTrack's and SiamMask's public code. A loser's pixel is background for it, so that no
    pixel of a guide is outside [-1, 1].

    Args:
        probabilities: (K, H, W) in [0, 1].
        first_wins: whether of equally certain objects the first gets the pixel, as in SiamMask;
            else the last, as in MaskTrack.

    Returns:
        (K, H, W), the winner 1 and everybody else 0.
    """
    num_objects = len(probabilities)
    if num_objects == 0:
        return probabilities
    xp = array_namespace(probabilities)
    # (H, W): the number of the most certain object; argmax gives the first of equal values
    if first_wins:
        winner = xp.argmax(probabilities, axis=0)
    else:
        winner = num_objects - 1 - xp.argmax(xp.flip(probabilities, axis=0), axis=0)
    is_claimed = xp.max(probabilities, axis=0) >= 0.5
    # (K, H, W)
    numbers = xp.arange(num_objects, device=device(probabilities))[:, None, None]
    is_won = (numbers == winner) & is_claimed
    return xp.astype(is_won, probabilities.dtype)
