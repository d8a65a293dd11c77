"""What a tracker is given of the objects of a prompt, and what it knows of each object; arrays are
torch's or numpy's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from mmvos.ops.arrays import Array
from mmvos.ops.polygons import Polygon


class PromptKind(Enum):
    """What an object of a prompt is given by."""

    MASK = auto()
    BOX = auto()  # alone or with points
    POINTS = auto()
    CORRECTION = auto()  # points on an object that is already followed


@dataclass(frozen=True)
class PromptedObjects:
    """K objects of a prompt, as a tracker takes them.

    Attributes:
        ids: K positive ints.
        mask_priors: (K, H, W) in [-1, 1]: +1 in the object's mask, or in its box where only a box
            is given; -1 elsewhere; 0 in the frame's padding. Of a correction the mask that was
            found in this frame; of points alone 0.
        kinds: K kinds.
        boxes: K boxes xyxy, given, or around the masks or the points; a given box may reach out of
            the frame.
        points: (K, P, 3) float rows x, y, sign in network pixels; +1 on the object, -1 not on it, 0
            for no point. None where nobody has any.
    """

    ids: tuple[int, ...]
    mask_priors: Array
    kinds: tuple[PromptKind, ...]
    boxes: tuple[tuple[float, ...], ...]
    points: Array | None = None

    @property
    def is_mask(self) -> tuple[bool, ...]:
        """Of each object whether it was given by a mask."""
        return tuple(kind is PromptKind.MASK for kind in self.kinds)


@dataclass(frozen=True, kw_only=True)
class TrackedState:
    """What is known of one object between two frames; a tracker's own state adds what it needs.

    Attributes:
        id: the object's id.
        score: the tracker's own confidence in [0, 1]; None where it has none, and the mean
            probability of the mask serves.
        region: the tracker's own polygon around the object; None where it only has a mask.
    """

    id: int
    score: float | None = None
    region: Polygon | None = None
