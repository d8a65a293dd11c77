"""SiameseState: what a siamese tracker knows of an object between two frames, and where it looks for
it in the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from mmvos.models.tracker import TrackedState
from mmvos.ops.polygons import Polygon

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class SiameseState(TrackedState):
    """What is known of one object between two frames.

    Attributes:
        id: see ``TrackedState``.
        center, size: (x, y) and (width, height) of the upright box that is followed, in frame
            pixels; of a lost object the box in which it was looked for.
        kernels: (3, C, a, a), the template in the frame where it was given.
        color: what is put around that frame's edges, and those of all later ones.
        score: of the anchor chosen in the last frame, 1 in the first; of a lost object that of what
            was found instead.
        region: four corners: the rotated box of the last mask, or the upright one where that mask
            is too small.
        velocity: (x, y) by which the centre moved in the last frame, in frame pixels; 0 where it
            was not seen.
    """

    center: Point
    size: Point
    kernels: Tensor
    color: tuple[int, int, int]
    score: float
    region: Polygon
    velocity: Point = (0.0, 0.0)

    def ahead(self, motion: float, height: int, width: int) -> SiameseState:
        """The state with the centre where it is expected in the next frame (H x W): on by
        ``motion`` times the velocity.
        """
        if motion == 0 or self.velocity == (0.0, 0.0):
            return self
        x, y = self.center
        return replace(
            self,
            center=inside(
                (x + motion * self.velocity[0], y + motion * self.velocity[1]), height, width
            ),
        )

    def after(self, before: SiameseState) -> SiameseState:
        """The state with the velocity that brought it here from the state of the frame before."""
        return replace(
            self, velocity=(self.center[0] - before.center[0], self.center[1] - before.center[1])
        )

    def seen(self, scale: float) -> tuple[float, float, float, float]:
        """The upright box around the region: centre from the state's centre, and size, in frame
        pixels times ``scale``.
        """
        left, top, right, bottom = (
            f(point[i] for point in self.region) for f in (min, max) for i in (0, 1)
        )
        x, y = self.center
        return (
            ((left + right) / 2 - x) * scale,
            ((top + bottom) / 2 - y) * scale,
            (right - left) * scale,
            (bottom - top) * scale,
        )


def inside(center: Point, height: int, width: int) -> Point:
    """The point (x, y) of a frame of H x W pixels that is nearest to one."""
    return min(max(center[0], 0.0), width), min(max(center[1], 0.0), height)
