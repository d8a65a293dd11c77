"""Arithmetic on mask priors, the guides of mask propagation: maps in [-1, 1], +1 object, -1
background, 0 unknown; and on the boxes around them.

K objects, H x W pixels, P clicks, S x S pixels of a square.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Parts smaller than this share of the largest part do not count for the box.
MIN_PART_RATIO = 0.05
CLICK_RADIUS = 1 / 64  # over the side of the square


def guide_boxes(guides: Tensor) -> Tensor:
    """Find the boxes of the positive pixels, without specks far from the object.

    Args:
        guides: (K, H, W).

    Returns:
        (K, 4) float32 xyxy, continuous: a single pixel at the origin has (0, 0, 1, 1). The whole
        frame where no pixel is positive.
    """
    # connected components are OpenCV's
    positive = (guides > 0).to(torch.uint8)
    masks = positive.cpu().numpy()

    rows = [_box_without_specks(mask) for mask in masks]
    boxes = torch.tensor(rows, dtype=torch.float32, device=guides.device)
    # also without objects
    return boxes.reshape(-1, 4)


def _box_without_specks(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Find the box xyxy of one object's pixels (H, W)."""
    # (parts, 5): box and area of each connected part; the first row is the background's
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    parts = statistics[1:]
    if len(parts) == 0:
        height, width = mask.shape
        return 0, 0, width, height

    # Parts that are much smaller than the largest are specks.
    areas = parts[:, cv2.CC_STAT_AREA]
    is_counted = areas >= MIN_PART_RATIO * areas.max()
    counted = parts[is_counted]

    # one box around all others
    left, top, width, height, _ = counted.T
    right = left + width
    bottom = top + height
    x1 = int(left.min())
    y1 = int(top.min())
    x2 = int(right.max())
    y2 = int(bottom.max())
    return x1, y1, x2, y2


def limit_change(boxes: Tensor, last: Tensor, rate: Tensor | float) -> Tensor:
    """Limit how much width and height of boxes differ from the frame before; the centers stay.

    A mask that has lost a part would otherwise make the square around it smaller, in which the part
    is then not seen any more.

    Args:
        boxes, last: (K, 4) xyxy, of this frame and of the one before.
        rate: the largest change, e.g. 0.02, one number or (K, 1).
    """
    # (K, 2): center and size of the boxes
    low, high = boxes.split(2, dim=1)
    center = (low + high) / 2
    size = high - low

    # (K, 2): the size in the frame before, and the bounds that follow from it
    last_low, last_high = last.split(2, dim=1)
    last_size = last_high - last_low
    smallest = last_size * (1 - rate)
    largest = last_size * (1 + rate)

    # (K, 4): boxes of the bounded size around the same centers
    size = size.maximum(smallest)
    size = size.minimum(largest)
    half = size / 2
    return torch.cat([center - half, center + half], dim=1)


def grow_box(box: Tensor, factor: float, height: int, width: int) -> Tensor:
    """Enlarge a box (4,) xyxy around its center, and clip it to the frame."""
    low, high = box.split(2)
    center = (low + high) / 2
    half = (high - low) / 2
    half = half * factor

    # (2,) each: its corners inside the frame
    frame_corner = box.new_tensor([width, height])
    first = center - half
    first = first.clamp(min=0)
    last = center + half
    last = last.minimum(frame_corner)
    return torch.cat([first, last])


def draw_clicks(clicks: Tensor, squares: Tensor, size: int) -> Tensor:
    """Draw clicks as disks in squares.

    Args:
        clicks: (K, P, 3) rows x, y, sign in frame pixels; sign 0 is none.
        squares: (K, 3).
        size: S.

    Returns:
        (K, 1, S, S) in {-1, 0, 1}.
    """
    # (K, P, 2): the clicks in pixels of their squares
    corners, sides = squares.split((2, 1), dim=1)
    places, signs = clicks.split((2, 1), dim=2)
    scale = size / sides.float()
    centers = (places - corners[:, None]) * scale[:, :, None]

    # (K, P, S): squared distances of columns and rows from each click
    pixels = torch.arange(size, device=clicks.device) + 0.5
    x, y = centers.split(1, dim=2)
    across = (pixels - x).square()
    down = (pixels - y).square()

    # (K, P, S, S): which pixels lie in which disk
    radius = size * CLICK_RADIUS
    distance = down[..., :, None] + across[..., None, :]
    inside = distance <= radius**2

    # (K, S, S): of clicks that overlap the later ones win
    drawn = torch.zeros(len(clicks), size, size, device=clicks.device)
    for index in range(clicks.shape[1]):
        sign = signs[:, index, :, None]
        is_drawn = inside[:, index] & (sign != 0)
        drawn = torch.where(is_drawn, sign, drawn)
    return drawn[:, None]


def box_with_points(box: Tensor, points: Tensor) -> Tensor:
    """Enlarge a box so that it holds all points.

    Args:
        box: (4,) xyxy.
        points: (P, 3) rows x, y, sign; sign 0 is none.
    """
    # (n, 2): the places of the points that there are
    places, signs = points.split((2, 1), dim=1)
    is_point = signs[:, 0] != 0
    places = places[is_point]
    if len(places) == 0:
        return box

    low, high = box.split(2)
    low = low.minimum(places.amin(dim=0))
    high = high.maximum(places.amax(dim=0))
    return torch.cat([low, high])


def disks_at_points(points: Tensor, like: Tensor, radius: float) -> Tensor:
    """Make a mask prior of disks around the points that are on the object.

    Args:
        points: (P, 3) rows x, y, sign.
        like: (H, W), of the size and kind that is wanted.
        radius: of the disks in pixels.

    Returns:
        (H, W): +1 in the disks, -1 elsewhere.
    """
    # (H, 1) and (1, W): the middles of the pixels
    height, width = like.shape
    rows = torch.arange(height, device=like.device)
    rows = rows[:, None] + 0.5
    columns = torch.arange(width, device=like.device)
    columns = columns[None, :] + 0.5

    prior = torch.full_like(like, -1.0)
    for x, y, sign in points.tolist():
        if sign <= 0:
            continue
        down = (rows - y).square()
        across = (columns - x).square()
        distance = down + across
        prior[distance <= radius**2] = 1.0
    return prior
