"""Outlines of drawn shapes as polygons [x0, y0, x1, y1, ...] in continuous pixels, clipped to
nothing.

Round shapes get as many corners as keep the polygon within a twentieth of a pixel of the curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_DISTANCE = 0.05  # pixels between curve and polygon
_FEWEST_CORNERS, _MOST_CORNERS = 12, 1000


def rectangle(x1: float, y1: float, x2: float, y2: float, degrees: float = 0.0) -> list[float]:
    """Four corners of a rectangle between two opposite corners, turned about its center (clockwise
    on the screen).
    """
    return turned([x1, y1, x2, y1, x2, y2, x1, y2], (x1 + x2) / 2, (y1 + y2) / 2, degrees)


def ellipse(cx: float, cy: float, rx: float, ry: float, degrees: float = 0.0) -> list[float]:
    """An ellipse by center and half axes, turned about its center."""
    # a chord of angle a lies r a a / 8 inside
    wanted = math.pi * math.sqrt(float(max(rx, ry)) / (2 * _DISTANCE))  # infinite for infinite axes
    corners = max(_FEWEST_CORNERS, math.ceil(min(wanted, _MOST_CORNERS)))
    angles = [2 * math.pi * corner / corners for corner in range(corners)]
    points = [
        value
        for angle in angles
        for value in (cx + rx * math.cos(angle), cy + ry * math.sin(angle))
    ]
    return turned(points, cx, cy, degrees)


def turned(points: Sequence[float], cx: float, cy: float, degrees: float) -> list[float]:
    """A polygon turned about (cx, cy); y points down, so positive is clockwise on the screen."""
    if not degrees:
        return list(points)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        value
        for x, y in zip(points[::2], points[1::2])
        for value in (cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos)
    ]
