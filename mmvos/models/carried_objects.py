"""Objects whose masks the motion of the picture carries from one frame to the next.

On a CPU eight objects take the network eight times as long as one. Where there are more than
``computed_objects`` (an option of a tracker), so many are computed in a frame, in turns, and the
masks of the others are moved by the optical flow, which costs as much for one object as for all. Of
very many a third is computed, as none is carried more than twice in a row. An object that moves
fast, or of which the flow does not explain what is seen, because it turns or is covered, is
computed all the same.

Arrays of a state are torch's or numpy's, those of the flow numpy's. K objects, H x W the padded
frame, h x w a view of it (`mmvos.ops.optical_flow`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.ops.arrays import Array, array_like, array_namespace, as_numpy
from mmvos.ops.optical_flow import Floats, Motion, look_up, measure_motion
from mmvos.structures import Frame

from .tracked_objects import TrackedState

FRAMES_CARRIED = 2  # frames in which an object is carried at most until it is computed again
MOST_MISMATCH = 0.01  # share of an object's pixels that the flow may leave unexplained
DIFFERENCE = 44  # gray levels from which a pixel is not explained
MARGIN = 4  # pixels of a view around an object that count for it
LEAST_GUIDE = -0.999  # of a pixel that may be the object's


@dataclass(frozen=True, kw_only=True)
class CarriableState(TrackedState):
    """What must be known of an object between two frames so that it can be carried.

    Attributes:
        guide: (H, W) in [-1, 1], its mask in the last frame: +1 object, -1 background.
        view: (h, w), the last frame, in which the motion of the next one is measured; None where
            nobody is carried.
        frames_carried: number of frames in which it was carried since it was computed.
    """

    guide: Any = None
    view: Array | None = None
    frames_carried: int = 0

    @property
    def is_calm(self) -> bool:
        """Whether the object was seen in the last frame, and hardly moves."""
        return False

    @property
    def may_be_carried(self) -> bool:
        """Whether the object may be carried into the next frame, if the flow explains it."""
        if self.view is None or not self.is_calm:
            return False
        return self.frames_carried < FRAMES_CARRIED

    def carried_by(self, shift: tuple[float, float]) -> Any:
        """Return the state after a frame in which the object was carried.

        Args:
            shift: x and y in pixels by which it moved.
        """
        return replace(self, frames_carried=self.frames_carried + 1)


State = TypeVar('State', bound=CarriableState)


@dataclass(frozen=True)
class Kept(Generic[State]):
    """What there is of an object in a frame in which the network does not see it.

    Attributes:
        probabilities: (H, W).
        state: that waits for the commit.
    """

    probabilities: Array
    state: State


@dataclass(frozen=True)
class MovedObject:
    """An object in the place to which the flow moves it.

    Attributes:
        number: of the object.
        state: in the frame before.
        outline: (h, w) in [-1, 1], its guide.
        mismatch: share of its pixels, and of those around it, that the flow does not explain.
    """

    number: int
    state: CarriableState
    outline: Floats
    mismatch: float


def find_carried(
    frame: Frame,
    view: Floats | None,
    states: Sequence[State],
    idle: Collection[int],
    computed_objects: int,
) -> dict[int, Kept[State]]:
    """Choose the objects that are carried, and carry them.

    Args:
        frame: this frame.
        view: (h, w), of this frame; None where it is too small for a flow.
        states: K, in the frame before.
        idle: numbers of objects that are idle, which nobody looks at.
        computed_objects: number of objects that are computed where no others must be.

    Returns:
        What there is of each that is carried, by its number.
    """
    active = [k for k in range(len(states)) if k not in idle]
    candidates = [k for k in active if states[k].may_be_carried]
    if view is None or not candidates or len(active) <= computed_objects:
        return {}
    # All were seen in the same frame before. Between frames of two sizes nothing is carried.
    first = states[candidates[0]]
    height, width = frame.image.shape[2:]
    if tuple(first.guide.shape) != (height, width):
        return {}

    # Those whose motion the flow explains.
    motion = measure_motion(as_numpy(first.view), view, height, width)
    explained = []
    for k in candidates:
        moved = move_object(k, states[k], motion)
        if moved.mismatch <= MOST_MISMATCH:
            explained.append(moved)

    # Of these as many are computed as there is room for, first those that were carried before. Of
    # very many a third is, so that not all others must be computed in one frame later on.
    share = len(active) // (FRAMES_CARRIED + 1)
    must_be_computed = len(active) - len(explained)
    room = max(computed_objects, share) - must_be_computed
    explained.sort(key=_urgency, reverse=True)
    carried = explained[max(room, 0) :]
    return {moved.number: carry(moved, motion, *frame.meta.network_shape) for moved in carried}


def move_object(number: int, state: CarriableState, motion: Motion) -> MovedObject:
    """Move the outline of an object with the picture, and measure how well that explains it.

    Args:
        number: of the object.
        state: in the frame before.
        motion: from there to this frame.
    """
    height, width = motion.differences.shape
    guide = as_numpy(state.guide)
    small = cv2.resize(guide, (width, height), interpolation=cv2.INTER_AREA)
    outline = look_up(small, motion.view_places)
    is_object = (outline > 0).view(np.uint8)
    mismatch = 1.0
    if is_object.any():
        # the share of pixels that look other, in the object and around it
        neighbors = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
        counted = cv2.dilate(is_object, neighbors) > 0
        differences = motion.differences[counted]
        mismatch = float(np.mean(differences > DIFFERENCE))
    return MovedObject(number=number, state=state, outline=outline, mismatch=mismatch)


def carry(moved: MovedObject, motion: Motion, height: int, width: int) -> Kept[Any]:
    """Move the probabilities of an object with the picture; the network does not see it.

    Args:
        moved: the object.
        motion: from the frame before to this one.
        height, width: of the frame without its padding, in which there are no objects.
    """
    state = moved.state
    guide = as_numpy(state.guide)
    probabilities = np.zeros_like(guide)

    # Only that part of the frame is computed in which the object is now.
    rows, columns = _part_of_object(moved.outline, guide.shape)
    rows = slice(rows.start, min(rows.stop, height))
    columns = slice(columns.start, min(columns.stop, width))
    places = motion.places[rows, columns]
    if places.size:
        found = look_up(guide, places)
        probabilities[rows, columns] = (found + 1) / 2
    carried = state.carried_by(_shift(moved.outline, motion))
    return Kept(array_like(probabilities, state.guide), carried)


def join_kept(
    count: int,
    kept: Mapping[int, Kept[State]],
    found: Array,
    looked_for: Sequence[State],
    view: Floats | None,
) -> tuple[Array, tuple[State, ...]]:
    """Put objects that were not computed together with those that were, in their order.

    Args:
        count: K.
        kept: what there is of those that were not computed, by their numbers.
        found: (n, H, W), the probabilities of all others.
        looked_for: n, their states.
        view: (h, w), of this frame; None where nobody is carried.

    Returns:
        Probabilities (K, H, W), and the states that wait for the commit.
    """
    answer = []
    waiting = []
    computed = 0
    for k in range(count):
        if k in kept:
            answer.append(kept[k].probabilities)
            state = kept[k].state
        else:
            answer.append(found[computed])
            state = looked_for[computed]
            computed += 1
        waiting.append(replace(state, view=view))
    if kept:
        xp = array_namespace(found)
        found = xp.stack(answer)
    return found, tuple(waiting)


def _part_of_object(outline: NDArray[Any], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of a frame (H, W) in which an object of this outline is."""
    # in the view
    is_near = (outline > LEAST_GUIDE).view(np.uint8)
    x, y, width, height = cv2.boundingRect(is_near)
    bottom = y + height
    right = x + width

    # in the frame
    frame_height, frame_width = shape
    view_height, view_width = outline.shape
    down = frame_height / view_height
    across = frame_width / view_width
    rows = slice(int(y * down), round(bottom * down))
    columns = slice(int(x * across), round(right * across))
    return rows, columns


def _shift(outline: Floats, motion: Motion) -> tuple[float, float]:
    """Measure how far an object moved, in pixels: the median of those of its outline."""
    # in pixels of the view
    is_object = outline > 0
    rows, columns = np.nonzero(is_object)
    places = motion.view_places[is_object]
    across = float(np.median(columns - places[:, 0]))
    down = float(np.median(rows - places[:, 1]))

    # in pixels of the frame
    height, width, _ = motion.places.shape
    view_height, view_width = outline.shape
    return across * width / view_width, down * height / view_height


def _urgency(moved: MovedObject) -> tuple[int, float]:
    """Say how urgently an object should be computed."""
    return moved.state.frames_carried, moved.mismatch
