"""What SiamMask knows of an object between two frames, and where it looks for it in the next.

Points are (x, y) and sizes (width, height) in pixels of the network's frame. Letters for shapes: K
objects, C channels, a x a cells of a template, m x m of a search window, N anchors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from mmvos.models.tracker import TrackedState
from mmvos.ops.polygons import Polygon
from mmvos.ops.siamese_geometry import (
    TEMPLATE_SIZE,
    Color,
    Window,
    context_side,
    search_side,
    window_around,
)

Point = tuple[float, float]


@dataclass(frozen=True)
class SearchWindow:
    """Where an object is looked for in a frame.

    Attributes:
        center: the object's place, in the window's middle.
        window: the same in whole frame pixels.
        scale: window pixels per frame pixel.
    """

    center: Point
    window: Window
    scale: float


@dataclass(frozen=True)
class SearchResponse:
    """What the network says about the search windows of K objects.

    Attributes:
        windows: K, where they lie.
        kernels: (K, 3, C, a, a), the templates.
        search: (K, C, m, m), adjusted features.
        features: what masks are refined from.
        boxes: (K, N, 4), of the anchors: center from the window's middle, and size, in window
            pixels; float64.
        scores: (K, N) probabilities that it is the object; float64.
        penalties: (K, N) in (0, 1], for changes of size and shape.
        ranks: (K, N), scores after penalties and by nearness to the window's middle.
    """

    windows: Sequence[SearchWindow]
    kernels: Tensor
    search: Tensor
    features: Any
    boxes: Tensor
    scores: Tensor
    penalties: Tensor
    ranks: Tensor


@dataclass(frozen=True, kw_only=True)
class SiameseState(TrackedState):
    """What is known of one object between two frames.

    Attributes:
        id: see ``TrackedState``.
        center, size: of the upright box that is followed; of a lost object the box in which it was
            looked for.
        kernels: (3, C, a, a), the template in the frame where it was given.
        color: what is put around that frame's edges, and those of all later ones.
        score: of the anchor chosen in the last frame, 1 in the first; of a lost object that of what
            was found instead.
        region: four corners: the rotated box of the last mask, or the upright one where that mask
            is too small.
        velocity: by which the center moved in the last frame; 0 where the object was not seen.
    """

    center: Point
    size: Point
    kernels: Tensor
    color: Color
    score: float
    region: Polygon
    velocity: Point = (0.0, 0.0)

    def predicted(self, motion: float, height: int, width: int) -> SiameseState:
        """Return the state with the center where it is expected in the next frame.

        Args:
            motion: share of the last move that is repeated.
            height, width: of the frame.
        """
        if motion == 0 or self.velocity == (0.0, 0.0):
            return self
        x, y = self.center
        dx, dy = self.velocity
        expected = (x + motion * dx, y + motion * dy)
        center = clamp_to_frame(expected, height, width)
        return replace(self, center=center)

    def with_velocity_from(self, before: SiameseState) -> SiameseState:
        """Return the state with the velocity that brought it here since the frame before."""
        x, y = self.center
        x_before, y_before = before.center
        velocity = (x - x_before, y - y_before)
        return replace(self, velocity=velocity)

    def search_window(self, search_size: int) -> SearchWindow:
        """Return where the object is looked for.

        Args:
            search_size: pixels of the search window, in which the object with its context has the
                127 pixels that it has in the template.
        """
        scale = TEMPLATE_SIZE / context_side(*self.size)
        side = search_side(TEMPLATE_SIZE / scale, search_size)
        window = window_around(self.center, side)
        return SearchWindow(self.center, window, scale)

    def relative_box(self, scale: float) -> tuple[float, float, float, float]:
        """Return the upright box around the region, as seen from the state's center.

        Args:
            scale: pixels of the answer per frame pixel.

        Returns:
            Center x, center y, width, height.
        """
        # the upright box
        xs = [x for x, _ in self.region]
        ys = [y for _, y in self.region]
        left = min(xs)
        right = max(xs)
        top = min(ys)
        bottom = max(ys)

        # its place relative to the center
        center_x, center_y = self.center
        x = (left + right) / 2 - center_x
        y = (top + bottom) / 2 - center_y
        width = right - left
        height = bottom - top
        return x * scale, y * scale, width * scale, height * scale


def clamp_to_frame(point: Point, height: int, width: int) -> Point:
    """Return the nearest point inside a frame."""
    x = min(max(point[0], 0.0), width)
    y = min(max(point[1], 0.0), height)
    return x, y
