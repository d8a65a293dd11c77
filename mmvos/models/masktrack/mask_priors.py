"""Arithmetic on guides, maps in [-1, 1]: +1 object, -1 background, 0 unknown. K objects, H x W
pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SPECK = 0.05  # parts smaller than this share of the largest part do not count for the box


def guide_boxes(guides: Tensor) -> Tensor:
    """Tight boxes of the positive pixels, without specks far from the object; the whole frame where
    there are none.

    Args:
        guides: (K, H, W).

    Returns:
        (K, 4) float32 xyxy, continuous: a single pixel at the origin has (0, 0, 1, 1).
    """
    positive = (guides > 0).to(torch.uint8).cpu().numpy()
    boxes = [_box(mask) for mask in positive]
    return torch.tensor(boxes, dtype=torch.float32, device=guides.device).reshape(-1, 4)


def _box(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    parts = stats[1:]
    if not len(parts):
        return 0, 0, mask.shape[1], mask.shape[0]
    areas = parts[:, cv2.CC_STAT_AREA]
    x, y, w, h, _ = parts[areas >= SPECK * areas.max()].T
    return int(x.min()), int(y.min()), int((x + w).max()), int((y + h).max())


def limit_change(boxes: Tensor, last: Tensor, rate: Tensor | float) -> Tensor:
    """Boxes whose width and height differ from those of the frame before by at most a share of
    them; the centres stay.

    A mask that has lost a part would otherwise make the square around it smaller, in which the part
    is then not seen any more.

    Args:
        boxes, last: (K, 4) xyxy, of this frame and of the one before.
        rate: the largest change, e.g. 0.02, one number or (K, 1).
    """
    center, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    before = last[:, 2:] - last[:, :2]
    half = size.maximum(before * (1 - rate)).minimum(before * (1 + rate)) / 2
    return torch.cat([center - half, center + half], dim=1)


def grow_box(box: Tensor, factor: float, height: int, width: int) -> Tensor:
    """A box (4,) xyxy enlarged around its centre, cut at the frame's edges."""
    center, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * factor
    limit = box.new_tensor([width, height])
    return torch.cat([(center - half).clamp(min=0), (center + half).minimum(limit)])
