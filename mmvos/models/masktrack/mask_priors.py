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
    positive = (guides > 0).to(torch.uint8).cpu().numpy()
    boxes = [_box_without_specks(mask) for mask in positive]
    return torch.tensor(boxes, dtype=torch.float32, device=guides.device).reshape(-1, 4)


def _box_without_specks(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    height, width = mask.shape
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    parts = statistics[1:]  # the first row is the background's
    if not len(parts):
        return 0, 0, width, height
    areas = parts[:, cv2.CC_STAT_AREA]
    counted = parts[areas >= MIN_PART_RATIO * areas.max()]
    # (parts,) each: the boxes of the parts that count, and around them one for all
    x1, y1, w, h, _ = counted.T
    x2 = x1 + w
    y2 = y1 + h
    return int(x1.min()), int(y1.min()), int(x2.max()), int(y2.max())


def limit_change(boxes: Tensor, last: Tensor, rate: Tensor | float) -> Tensor:
    """Limit how much width and height of boxes differ from the frame before; the centers stay.

    A mask that has lost a part would otherwise make the square around it smaller, in which the part
    is then not seen any more.

    Args:
        boxes, last: (K, 4) xyxy, of this frame and of the one before.
        rate: the largest change, e.g. 0.02, one number or (K, 1).
    """
    # (K, 2): center and size, and the bounds of the size
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = boxes[:, 2:] - boxes[:, :2]
    last_size = last[:, 2:] - last[:, :2]
    smallest = last_size * (1 - rate)
    largest = last_size * (1 + rate)
    size = size.maximum(smallest).minimum(largest)
    half = size / 2
    return torch.cat([center - half, center + half], dim=1)


def grow_box(box: Tensor, factor: float, height: int, width: int) -> Tensor:
    """Enlarge a box (4,) xyxy around its center, and clip it to the frame."""
    center = (box[:2] + box[2:]) / 2
    half = (box[2:] - box[:2]) / 2 * factor
    frame_corner = box.new_tensor([width, height])
    first = (center - half).clamp(min=0)
    last = (center + half).minimum(frame_corner)
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
    scale = size / squares[:, 2:].float()
    centers = (clicks[..., :2] - squares[:, None, :2]) * scale[:, :, None]
    # (K, P, S, S): which pixels lie in which disk
    pixels = torch.arange(size, device=clicks.device) + 0.5
    across = (pixels - centers[..., :1]).square()
    down = (pixels - centers[..., 1:]).square()
    radius = size * CLICK_RADIUS
    inside = down[..., :, None] + across[..., None, :] <= radius**2
    # of clicks that overlap the later ones win
    drawn = torch.zeros(len(clicks), size, size, device=clicks.device)
    for index in range(clicks.shape[1]):
        sign = clicks[:, index, 2, None, None]
        drawn = torch.where(inside[:, index] & (sign != 0), sign, drawn)
    return drawn[:, None]


def box_with_points(box: Tensor, points: Tensor) -> Tensor:
    """Enlarge a box so that it holds all points.

    Args:
        box: (4,) xyxy.
        points: (P, 3) rows x, y, sign; sign 0 is none.
    """
    places = points[points[:, 2] != 0, :2]
    if not len(places):
        return box
    low = box[:2].minimum(places.amin(dim=0))
    high = box[2:].maximum(places.amax(dim=0))
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
    height, width = like.shape
    down = torch.arange(height, device=like.device) + 0.5
    across = torch.arange(width, device=like.device) + 0.5
    prior = torch.full_like(like, -1.0)
    for x, y, sign in points.tolist():
        if sign > 0:
            distance = (down[:, None] - y).square() + (across[None, :] - x).square()
            prior[distance <= radius**2] = 1.0
    return prior
