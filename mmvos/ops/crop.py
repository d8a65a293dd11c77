"""Crops of frames: the only file that knows crop coordinates.

A *square* is an int64 row (x, y, side) in frame pixels: its left column, its top row and its side;
it may reach outside the frame. K squares, B frames of H x W pixels, C channels, S x S the size of a
crop. Resampling is bilinear with antialiasing (``align_corners=False``: the square's edges are the
crop's edges), so a crop and its paste are aligned at every scale.

A *window* is a square as SiamMask (Wang et al., CVPR 2019) cuts it, as plain ints (x, y, side), its
rounding, colours and resampling being those that the published weights were made with; a *template*
window has 127, a *search* window 255 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Window = tuple[int, int, int]
TEMPLATE = 127  # pixels of a template window
# a mask of 127 pixels at cell (y, x) begins at pixel 8 (y - 4), 8 (x - 4) of its search window
CELL, BORDER_CELLS = 8, 4


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
        if x0 == x1 or y0 == y1:
            crops.append(images.new_zeros(1, images.shape[1], size, size, dtype=torch.float32))
            continue
        part = images[frame, None, :, y0:y1, x0:x1].float()
        part = F.pad(part, (x0 - x, x + side - x1, y0 - y, y + side - y1))  # (1, C, side, side)
        crops.append(_resize(part, size, size))
    return (
        torch.cat(crops)
        if crops
        else images.new_zeros(0, images.shape[1], size, size, dtype=torch.float32)
    )


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
        if x0 == x1 or y0 == y1:
            continue
        frame[y0:y1, x0:x1] = _resize(crop[None, None].float(), side, side)[
            0, 0, y0 - y : y1 - y, x0 - x : x1 - x
        ]
    return frames


def square_rois(squares: Tensor, index: Sequence[int]) -> Tensor:
    """Squares (K, 3) of frames as the regions that RoIAlign takes: (K, 5) float, index and xyxy."""
    x, y, side = squares.unbind(dim=1)
    frame = torch.as_tensor(index, device=squares.device)
    return torch.stack([frame, x, y, x + side, y + side], dim=1).float()


def _inside(x: int, y: int, side: int, height: int, width: int) -> tuple[int, int, int, int]:
    """The part (x0, y0, x1, y1) of a square that lies in the frame; empty where the square lies
    outside.
    """
    x0, y0 = min(max(x, 0), width), min(max(y, 0), height)
    return x0, y0, max(min(x + side, width), x0), max(min(y + side, height), y0)


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    if image.shape[2:] == (height, width):
        return image
    return F.interpolate(
        image, size=(height, width), mode='bilinear', align_corners=False, antialias=True
    )


def template_side(width: float, height: float) -> float:
    """Side, in frame pixels, of the square that the template window shows of an object; not
    rounded.
    """
    context = (width + height) / 2
    return math.sqrt((width + context) * (height + context))


def search_side(side: float, search_size: int) -> float:
    """Side, in frame pixels, of what a search window of ``search_size`` pixels shows at the
    template window's scale.
    """
    scale = TEMPLATE / side
    return side + 2 * ((search_size - TEMPLATE) / 2 / scale)


def box_center(box: Sequence[float]) -> tuple[float, float]:
    """The center of a box, to a millionth of a pixel.

    A center that went into the corners of a box comes out of them with an error of 1e-14 of its
    size. That must not decide to which side ``window_around`` rounds a half.

    Args:
        box: xyxy in frame pixels.

    Returns:
        x and y.
    """
    x1, y1, x2, y2 = box
    return round((x1 + x2) / 2, 6), round((y1 + y2) / 2, 6)


def window_around(center: tuple[float, float], side: float) -> Window:
    """The window around a point, in whole frame pixels; halves are rounded to even, as the
    published code does.
    """
    size = max(round(side), 1)
    return round(center[0] - (size + 1) / 2), round(center[1] - (size + 1) / 2), size


def cut_window(
    image: NDArray[np.uint8], window: Window, color: tuple[int, int, int], size: int
) -> NDArray[np.uint8]:
    """Cuts a window out of a frame, bilinearly without antialiasing.

    Args:
        image: (H, W, 3).
        window: where; it may reach outside the frame.
        color: what is seen outside the frame.
        size: S.

    Returns:
        (S, S, 3).
    """
    x, y, side = window
    height, width = image.shape[:2]
    x0, y0, x1, y1 = _inside(x, y, side, height, width)
    if (x1 - x0, y1 - y0) == (side, side):
        part = image[y0:y1, x0:x1]
    else:
        part = np.empty((side, side, 3), dtype=np.uint8)
        part[:] = color
        part[y0 - y : y1 - y, x0 - x : x1 - x] = image[y0:y1, x0:x1]
    if side == size:
        return part.copy()
    return np.asarray(cv2.resize(part, (size, size)), dtype=np.uint8)


def mask_area(
    center: tuple[float, float], side: int, cell: tuple[int, int], search_size: int
) -> tuple[float, float, float]:
    """Where in a frame the mask of 127 search pixels lies that a cell (row, column) predicts.

    The published code takes the window to be centred exactly, though ``window_around`` rounds it.

    Args:
        center: of the search window, in frame pixels, before rounding.
        side: of the search window in frame pixels.
        cell: row and column.
        search_size: pixels of the search window.

    Returns:
        Left, top and side in frame pixels.
    """
    scale = side / search_size
    left, top = (
        center[axis] - side / 2 + (cell[1 - axis] - BORDER_CELLS) * CELL * scale for axis in (0, 1)
    )
    return left, top, TEMPLATE * scale


def paste_mask(
    mask: NDArray[np.float32],
    area: tuple[float, float, float],
    height: int,
    width: int,
    outside: float = -1.0,
) -> NDArray[np.float32]:
    """Puts the mask of an area into a frame, bilinearly, with the published code's half-pixel-free
    alignment.

    Args:
        mask: (S, S).
        area: left, top and side in frame pixels; it may reach outside the frame.
        height, width: H and W.
        outside: value outside the area.

    Returns:
        (H, W).
    """
    left, top, side = area
    pixels = side / mask.shape[0]  # frame pixels per mask pixel
    shrink_x, shrink_y = (width - 1) / width, (height - 1) / height
    matrix = np.array(
        [[shrink_x * pixels, 0, left * shrink_x], [0, shrink_y * pixels, top * shrink_y]]
    )
    pasted = cv2.warpAffine(
        mask,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )
    return np.asarray(pasted, dtype=np.float32)


def cut_cells(
    features: Tensor, index: Sequence[int], corners: Sequence[tuple[int, int]], size: int
) -> Tensor:
    """Cuts squares of cells out of feature maps; what lies outside is 0.

    Args:
        features: (B, C, H, W).
        index: of each of the K squares its map.
        corners: of each its first row and first column, which may be negative.
        size: S.

    Returns:
        (K, C, S, S).
    """
    height, width = features.shape[2:]
    parts = []
    for image, (row, column) in zip(index, corners, strict=True):
        x0, y0, x1, y1 = _inside(column, row, size, height, width)
        part = features[image, None, :, y0:y1, x0:x1]
        parts.append(F.pad(part, (x0 - column, column + size - x1, y0 - row, row + size - y1)))
    return torch.cat(parts) if parts else features.new_zeros(0, features.shape[1], size, size)
