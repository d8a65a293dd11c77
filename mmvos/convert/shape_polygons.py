"""Outlines of drawn shapes as polygons [x0, y0, x1, y1, ...] in continuous pixels, clipped to
nothing; and outlines of masks.

Round shapes get as many corners as keep the polygon within a twentieth of a pixel of the curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

_DISTANCE = 0.05  # pixels between curve and polygon
Outline = NDArray[np.float64]
_FEWEST_CORNERS = 12
_MOST_CORNERS = 1000


def rectangle(x1: float, y1: float, x2: float, y2: float, degrees: float = 0.0) -> list[float]:
    """Return the corners of a rectangle between two opposite corners.

    Args:
        x1, y1: a corner.
        x2, y2: the opposite corner.
        degrees: by which it is turned about its center, clockwise on the screen.

    Returns:
        [x, y, x, y, ...] of the four corners.
    """
    corners = [
        *(x1, y1),
        *(x2, y1),
        *(x2, y2),
        *(x1, y2),
    ]
    center_x = (x1 + x2) / 2
    center_y = (y1 + y2) / 2
    return turned(corners, center_x, center_y, degrees)


def ellipse(cx: float, cy: float, rx: float, ry: float, degrees: float = 0.0) -> list[float]:
    """Return an ellipse as a polygon.

    Args:
        cx, cy: its center.
        rx, ry: its half axes.
        degrees: by which it is turned about its center, clockwise on the screen.

    Returns:
        [x, y, x, y, ...], the more corners the larger it is.
    """
    # a chord of angle a lies r a a / 8 inside; infinite for infinite axes
    radius = float(max(rx, ry))
    wanted = math.pi * math.sqrt(radius / (2 * _DISTANCE))
    corners = math.ceil(min(wanted, _MOST_CORNERS))
    corners = max(_FEWEST_CORNERS, corners)

    points: list[float] = []
    for corner in range(corners):
        angle = 2 * math.pi * corner / corners
        points.append(cx + rx * math.cos(angle))
        points.append(cy + ry * math.sin(angle))
    return turned(points, cx, cy, degrees)


def turned(points: Sequence[float], cx: float, cy: float, degrees: float) -> list[float]:
    """Turn a polygon about a point.

    Args:
        points: [x, y, x, y, ...].
        cx, cy: the point.
        degrees: y points down, so positive is clockwise on the screen.
    """
    if not degrees:
        return list(points)
    radians = math.radians(degrees)
    cos = math.cos(radians)
    sin = math.sin(radians)
    result: list[float] = []
    for x, y in zip(points[::2], points[1::2]):
        dx = x - cx
        dy = y - cy
        result.append(cx + dx * cos - dy * sin)
        result.append(cy + dx * sin + dy * cos)
    return result


def as_box(mask: Any) -> tuple[float, float, float, float] | None:
    """The box (x1, y1, x2, y2) that was drawn; None where a mask is more than an upright box.

    Args:
        mask: run lengths, or polygons.
    """
    if not isinstance(mask, list) or len(mask) != 1 or len(mask[0]) != 8:
        return None
    x1, y1, _, _, x2, y2, _, _ = mask[0]
    if list(mask[0]) != rectangle(x1, y1, x2, y2):
        return None
    left, right = sorted((x1, x2))
    top, bottom = sorted((y1, y2))
    if left == right or top == bottom:
        return None
    return left, top, right, bottom


def outer_outlines(rle: dict[str, Any]) -> list[Outline]:
    """The outlines of the parts of a mask; holes have none.

    Args:
        rle: pycocotools run lengths of a mask with a pixel.

    Returns:
        (P, 2) x and y in continuous pixels for each part, along the middles of its outermost
        pixels.
    """
    mask = coco_mask.decode(rle)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = []
    for contour in contours:
        points = contour.reshape(-1, 2).astype(np.float64) + 0.5
        if len(points) < 3:
            # A pixel or a line: the box around it.
            (x1, y1) = points.min(axis=0) - 0.5
            (x2, y2) = points.max(axis=0) + 0.5
            points = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
        parts.append(points)
    return parts
