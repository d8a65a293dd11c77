"""Squares cut out of frames and pasted back.

A *square* is an int64 row (x, y, side) in frame pixels: its left column, its top row and its side;
it may reach outside the frame. K squares, B frames of H x W pixels, C channels, S x S the size of a
crop. Resampling is bilinear with antialiasing (``align_corners=False``: the square's edges are the
crop's edges), so a crop and its paste are aligned at every scale.

SiamMask's windows are squares too; their rounding and resampling are in ``siamese_geometry``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def squares_around(boxes: Tensor, context: Tensor | float, smallest: int, largest: int) -> Tensor:
    """Return squares around the centers of boxes.

    Args:
        boxes: (K, 4) float xyxy.
        context: side over the box's longer side, one number or (K,).
        smallest, largest: bounds of the side in pixels.

    Returns:
        (K, 3) int64.
    """
    low = boxes[:, :2]
    high = boxes[:, 2:]
    # (K, 1): context times the longer side
    longer_side = (high - low).amax(dim=1)
    side = (longer_side * context).clamp(smallest, largest)
    side = side.round()[:, None]
    # (K, 2): left and top
    corner = (low + high - side) / 2
    return torch.cat([corner.round(), side], dim=1).long()


def crop_squares(images: Tensor, index: Sequence[int], squares: Tensor, size: int) -> Tensor:
    """Cut squares out of frames; what lies outside a frame is 0.

    Args:
        images: (B, C, H, W) float.
        index: K numbers of frames.
        squares: (K, 3).
        size: S.

    Returns:
        (K, C, S, S) float32.
    """
    _, channels, height, width = images.shape
    empty = images.new_zeros(1, channels, size, size, dtype=torch.float32)
    crops = []
    for frame, (x, y, side) in zip(index, squares.tolist(), strict=True):
        x0, y0, x1, y1 = visible_part(x, y, side, height, width)
        if x0 == x1 or y0 == y1:
            crops.append(empty)
            continue
        part = images[frame, None, :, y0:y1, x0:x1].float()
        # (1, C, side, side): zeros outside the frame
        horizontal = (x0 - x, x + side - x1)
        vertical = (y0 - y, y + side - y1)
        part = F.pad(part, (*horizontal, *vertical))
        crops.append(_resize(part, size, size))
    if not crops:
        return empty[:0]
    return torch.cat(crops)


def paste_squares(crops: Tensor, squares: Tensor, height: int, width: int) -> Tensor:
    """Put one-channel crops back into frames; the frame is 0 outside the square.

    Args:
        crops: (K, S, S) float.
        squares: (K, 3).
        height, width: H and W.

    Returns:
        (K, H, W) float32.
    """
    frames = crops.new_zeros(len(crops), height, width, dtype=torch.float32)
    for frame, crop, (x, y, side) in zip(frames, crops, squares.tolist(), strict=True):
        x0, y0, x1, y1 = visible_part(x, y, side, height, width)
        if x0 == x1 or y0 == y1:
            continue
        # what of the square lies in the frame
        square = _resize(crop[None, None].float(), side, side)[0, 0]
        rows = slice(y0 - y, y1 - y)
        columns = slice(x0 - x, x1 - x)
        frame[y0:y1, x0:x1] = square[rows, columns]
    return frames


def square_rois(squares: Tensor, index: Sequence[int]) -> Tensor:
    """Return squares of frames as the regions that RoIAlign takes.

    Args:
        squares: (K, 3).
        index: K numbers of frames.

    Returns:
        (K, 5) float, index and xyxy.
    """
    x, y, side = squares.unbind(dim=1)
    frame = torch.as_tensor(index, device=squares.device)
    right = x + side
    bottom = y + side
    return torch.stack([frame, x, y, right, bottom], dim=1).float()


def visible_part(x: int, y: int, side: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the part of a square that lies in a frame.

    Args:
        x, y, side: of the square; it may reach outside the frame.
        height, width: of the frame.

    Returns:
        x0, y0, x1, y1, the ends not included; x0 = x1 or y0 = y1 where the square lies outside.
    """
    right = x + side
    bottom = y + side
    x0 = min(max(x, 0), width)
    y0 = min(max(y, 0), height)
    x1 = max(min(right, width), x0)
    y1 = max(min(bottom, height), y0)
    return x0, y0, x1, y1


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    if image.shape[2:] == (height, width):
        return image
    return F.interpolate(
        image, size=(height, width), mode='bilinear', align_corners=False, antialias=True
    )
