"""What SiamMask knows of an object between two frames, and where it looks for it in the next.

Points are (x, y) and sizes (width, height) in pixels of the network's frame. Letters for shapes: K
objects, C channels, a x a cells of a template, N anchors, H x W pixels of the frame, S x S of a
mask. Arrays are torch's or numpy's; nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.ops.arrays import Array, array_like, array_namespace, as_numpy, is_on_host, to_device
from mmvos.ops.polygons import MIN_AREA, Polygon, box_polygon, mask_box, mask_polygon
from mmvos.ops.siamese_geometry import (
    TEMPLATE_SIZE,
    Color,
    Window,
    context_side,
    mask_area,
    paste_mask,
    search_side,
    window_around,
)

from ..carried_objects import CarriableState
from .anchors import ChosenAnchor

CALM_MOTION = 0.06  # of the center in a frame over the longer side, below which an object is calm
MIN_SIDE = 10.0  # frame pixels, of the box that is followed

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
    """What is known about the search windows of K objects.

    Attributes:
        windows: K, where they lie.
        features: the network's own, from which it makes masks.
        boxes: (K, N, 4), of the anchors: center from the window's middle, and size, in window
            pixels; float64.
        scores: (K, N) probabilities that it is the object; float64.
        penalties: (K, N) in (0, 1], for changes of size and shape.
        ranks: (K, N), scores after penalties and by nearness to the window's middle.
    """

    windows: Sequence[SearchWindow]
    features: Any
    boxes: Array
    scores: Array
    penalties: Array
    ranks: Array


@dataclass(frozen=True, kw_only=True)
class SiameseState(CarriableState):
    """What is known of one object between two frames.

    Attributes:
        id: see ``TrackedState``.
        center, size: of the upright box that is followed; of a lost object the box in which it was
            looked for.
        kernels: (3, C, a - 2, a - 2), the template in the frame where it was given.
        color: what is put around that frame's edges, and those of all later ones.
        score: of the anchor chosen in the last frame, 1 in the first; of a lost object that of what
            was found instead.
        region: four corners: the rotated box of the last mask, or the upright one where that mask
            is too small.
        velocity: by which the center moved in the last frame; 0 where the object was not seen.
    """

    center: Point
    size: Point
    kernels: Array
    color: Color
    score: float
    region: Polygon
    velocity: Point = (0.0, 0.0)

    @property
    def is_calm(self) -> bool:
        """Whether the object was seen in the last frame, and hardly moves."""
        distance = math.hypot(*self.velocity)
        is_seen = self.guide is not None
        return is_seen and distance < CALM_MOTION * max(self.size)

    def carried_by(self, shift: Point) -> SiameseState:
        """Return the state after a frame in which it was carried; see ``CarriableState``."""
        across, down = shift
        x, y = self.center
        region = tuple((left + across, top + down) for left, top in self.region)
        carried: SiameseState = super().carried_by(shift)
        return replace(carried, center=(x + across, y + down), region=region, velocity=shift)

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

        # The move is repeated, but not out of the frame.
        expected_x = x + motion * dx
        expected_y = y + motion * dy
        center = clamp_to_frame((expected_x, expected_y), height, width)
        return replace(self, center=center)

    def moved_to(
        self,
        anchor: ChosenAnchor,
        scale: float,
        mask: NDArray[np.bool_],
        size_rate: float,
        min_mask_area: float | None,
    ) -> SiameseState:
        """Return the state after a frame in which the object was found.

        Args:
            anchor: what was found, as seen from the state's center.
            scale: window pixels per frame pixel.
            mask: (H, W) of the frame.
            size_rate: how much of a change of size is taken over where the score is 1.
            min_mask_area: where the box of the mask is followed, the area from which on
                a mask counts; None where the anchor's box is.
        """
        # The center is the anchor's.
        dx, dy, width, height = anchor.box
        x, y = self.center
        center = (x + dx / scale, y + dy / scale)

        # The size changes the less, the less sure the anchor is.
        rate = anchor.penalty * anchor.score * size_rate
        last_width, last_height = self.size
        size = (
            last_width * (1 - rate) + width / scale * rate,
            last_height * (1 - rate) + height / scale * rate,
        )

        # The region is the rotated box of the mask, if that is large enough.
        min_area = MIN_AREA if min_mask_area is None else min_mask_area
        region = mask_polygon(mask, min_area)
        if region is None:
            region = box_polygon(center, size)
        elif min_mask_area is not None:
            center, size = mask_box(mask)

        # The box stays in the frame and never vanishes.
        frame_height, frame_width = mask.shape
        center = clamp_to_frame(center, frame_height, frame_width)
        width, height = size
        size = (
            max(min(width, frame_width), MIN_SIDE),
            max(min(height, frame_height), MIN_SIDE),
        )
        return replace(self, center=center, size=size, score=anchor.score, region=region)

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
        # window pixels per frame pixel: those of the template
        width, height = self.size
        template_side = context_side(width, height)
        scale = TEMPLATE_SIZE / template_side

        # frame pixels of the larger window in the same scale
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
    x, y = point
    inside_x = min(max(x, 0.0), width)
    inside_y = min(max(y, 0.0), height)
    return inside_x, inside_y


def center_probabilities(probabilities: Array, threshold: float) -> Array:
    """Stretch probabilities so that ``threshold`` comes to lie at .5.

    There masks are cut when objects are merged.

    Args:
        probabilities: float, any shape; below 0 counts as 0.
        threshold: in (0, 1).

    Returns:
        Values in [0, 1] in the same order, above .5 exactly where the input is above the threshold.
    """
    # From 0 to the threshold: 0 to .5, not included.
    stretch = 0.5 / threshold
    below = probabilities.clip(min=0) * stretch
    below = below.clip(max=0.5 - 1e-7)

    # From the threshold to 1: .5 to 1, again without .5.
    stretch = 0.5 / (1 - threshold)
    above = 0.5 + (probabilities - threshold) * stretch
    above = above.clip(0.5 + 1e-7, 1)

    xp = array_namespace(probabilities)
    is_above = probabilities > threshold
    return xp.where(is_above, above, below)


def paste_cell_masks(
    probabilities: Array,
    windows: Sequence[SearchWindow],
    cells: Array,
    search_size: int,
    height: int,
    width: int,
) -> Array:
    """Put the masks of cells into frames.

    Args:
        probabilities: (K, S, S).
        windows: K search windows.
        cells: (K, 3) rows (window, row, column), one of each window.
        search_size: pixels of a search window.
        height, width: H and W.

    Returns:
        (K, H, W), -1 outside of what the masks show.
    """
    centers = [window.center for window in windows]
    sides = [window.window[2] for window in windows]
    if is_on_host(probabilities):
        masks = []
        places = zip(as_numpy(probabilities), centers, sides, cells.tolist(), strict=True)
        for mask, center, side, (_, row, column) in places:
            area = mask_area(center, side, (row, column), search_size)
            masks.append(paste_mask(mask, area, height, width))
        return array_like(np.stack(masks), probabilities)

    # all at once, where the cells are numbers of the device
    from mmvos.ops.device_sampling import paste_masks

    xp = array_namespace(cells)
    places_of_windows = to_device(centers, cells, xp.float64)
    center = (places_of_windows[:, 0], places_of_windows[:, 1])
    own_sides = to_device(sides, cells, xp.float64)
    areas = mask_area(center, own_sides, (cells[:, 1], cells[:, 2]), search_size)
    return paste_masks(probabilities, xp.stack(areas, axis=1), height, width)
