"""Crops of frames: the only file that knows crop coordinates.

A *square* is an int64 row (x, y, side) in frame pixels: its left column, its top row and its side; it may reach outside the frame.
K squares, B frames of H x W pixels, C channels, S x S the size of a crop. Resampling is bilinear with antialiasing
(``align_corners=False``: the square's edges are the crop's edges), so a crop and its paste are aligned at every scale.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .roi_align import roi_align


def squares_around(boxes: Tensor, context: Tensor | float, smallest: int, largest: int) -> Tensor:
    """Squares around the centres of boxes.

    Args:
        boxes: (K, 4) float xyxy.
        context: side over the box's longer side, one number or (K,).
        smallest, largest: bounds of the side in pixels.

    Returns:
        (K, 3) int64.
    """
    size = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1) * context
    side = size.clamp(smallest, largest).round()
    corner = ((boxes[:, :2] + boxes[:, 2:] - side[:, None]) / 2).round()
    return torch.cat([corner, side[:, None]], dim=1).long()


def crop_squares(images: Tensor, index: Sequence[int], squares: Tensor, size: int) -> Tensor:
    """Cuts squares out of frames; what lies outside a frame is 0.

    Args:
        images: (B, C, H, W) float.
        index: K numbers of frames.
        squares: (K, 3).
        size: S.

    Returns:
        (K, C, S, S) float32.
    """
    height, width = images.shape[2:]
    crops = []
    for frame, (x, y, side) in zip(index, squares.tolist(), strict=True):
        x0, y0, x1, y1 = _inside(x, y, side, height, width)
        part = images[frame, None, :, y0:y1, x0:x1].float()
        part = F.pad(part, (x0 - x, x + side - x1, y0 - y, y + side - y1))  # (1, C, side, side)
        crops.append(_resize(part, size, size))
    return torch.cat(crops) if crops else images.new_zeros(0, images.shape[1], size, size, dtype=torch.float32)


def paste_squares(crops: Tensor, squares: Tensor, height: int, width: int) -> Tensor:
    """Puts one-channel crops back into frames; the frame is 0 outside the square.

    Args:
        crops: (K, S, S) float.
        squares: (K, 3).
        height, width: H and W.

    Returns:
        (K, H, W) float32.
    """
    frames = crops.new_zeros(len(crops), height, width, dtype=torch.float32)
    for frame, crop, (x, y, side) in zip(frames, crops, squares.tolist(), strict=True):
        x0, y0, x1, y1 = _inside(x, y, side, height, width)
        frame[y0:y1, x0:x1] = _resize(crop[None, None].float(), side, side)[0, 0, y0 - y:y1 - y, x0 - x:x1 - x]
    return frames


def crop_features(features: Tensor, index: Sequence[int], squares: Tensor, size: int, stride: int) -> Tensor:
    """Features of squares by RoIAlign: (B, C, H / stride, W / stride) -> (K, C, size, size)."""
    x, y, side = squares.unbind(dim=1)
    frame = torch.as_tensor(index, device=squares.device)
    rois = torch.stack([frame, x, y, x + side, y + side], dim=1).float().to(features.device)
    return roi_align(features, rois, size, 1 / stride, 2)


def _inside(x: int, y: int, side: int, height: int, width: int) -> tuple[int, int, int, int]:
    """The part (x0, y0, x1, y1) of a square that lies in the frame; empty where the square lies outside."""
    x0, y0 = min(max(x, 0), width), min(max(y, 0), height)
    return x0, y0, max(min(x + side, width), x0), max(min(y + side, height), y0)


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    if image.shape[2:] == (height, width):
        return image
    return F.interpolate(image, size=(height, width), mode='bilinear', align_corners=False, antialias=True)
