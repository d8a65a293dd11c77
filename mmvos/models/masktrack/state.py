"""PropagationState: what mask propagation knows of an object between two frames, which frames are
remembered of it, and arithmetic on its guide and on the boxes around it.

Guides (mask priors) are maps in [-1, 1]: +1 object, -1 background, 0 unknown.

K objects, H x W the padded frame, A and V the lengths of keys and values, N positions of a
remembered frame, P clicks, S x S pixels of a square. Arrays are torch's or numpy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.ops.arrays import Array, array_like, array_namespace, as_numpy, device
from mmvos.structures import Frame

from ..carried_objects import CarriableState

MAX_CORRECTIONS = 4  # frames that are remembered beside the first and the last, the newest of them
CALM_CHANGE = 0.06  # of an object's box in a frame, below which a tight square is drawn around it
CHANGE_DECAY = 0.9  # by which a change of long ago counts less from frame to frame
FAR_KEY = 1000.0  # all numbers of a key that no position of a frame is like
# Parts smaller than this share of the largest part do not count for the box.
MIN_PART_RATIO = 0.05
MAX_GROWTH_STEPS = 50  # frames after which the box of a lost object grows no more
POINT_SIDE_RATIO = 0.8  # of the square around points, over the frame's shorter side

Memory = tuple[Array, Array]  # keys (A, N) and values (V + 1, N) of a frame


@dataclass(frozen=True, kw_only=True)
class LastLook:
    """What was found of an object in the frame in which the network saw it last.

    Attributes:
        probabilities: (H, W), before the objects were merged.
        square: (3,), in which it is watched.
        cells: (3, C, C), the normalized frame in this square, see ``take_looks``.
        age: number of frames since in which the object was idle.
    """

    probabilities: Array
    square: Array
    cells: Array
    age: int = 0


@dataclass(frozen=True, kw_only=True)
class PropagationState(CarriableState):
    """What is known of one object between two frames.

    Attributes:
        guide: (H, W), the mask prior of the next frame; of a lost object its last one, fading.
        box: (4,) xyxy, where the object was when it was last seen.
        frames_lost: number of frames since it was last seen.
        change: how far an edge of its box has lately come from one frame to the next, over the
            longer side of the box; None where that is not known.
        first, last: keys and values of the frame in which it was given, and of the last one in
            which it was seen, or the first where it never was; None where the head reads no memory.
        corrections: keys and values of later frames in which it was given again, oldest first.
        is_prompted: whether the frame that waits for its commit is one of these.
        top, square: of the frame that waits for its commit, the coarsest features (C, h, w) and the
            square (3,) they are of; None where the object is idle.
        look: what an idle object keeps; None where all objects are computed in each frame.
    """

    guide: Array
    box: Array
    frames_lost: int = 0
    change: float | None = None
    first: Memory | None = None
    last: Memory | None = None
    corrections: tuple[Memory, ...] = ()
    is_prompted: bool = False
    top: Array | None = None
    square: Array | None = None
    look: LastLook | None = None

    @property
    def is_calm(self) -> bool:
        """Whether the object moves so little that a tight square is enough for it."""
        return self.change is not None and self.change < CALM_CHANGE


def group_by_size(
    states: Sequence[PropagationState], count: int, size: int, calm_size: int | None
) -> list[tuple[int, list[int]]]:
    """Put objects with squares of one size together.

    Args:
        states: K, or none where the objects are seen for the first time.
        count: K.
        size, calm_size: see ``MaskPropagator``.

    Returns:
        Sizes, each with the numbers of its objects, which ascend.
    """
    if calm_size is None or not states:
        return [(size, list(range(count)))]
    groups: dict[int, list[int]] = {}
    for k, state in enumerate(states):
        own_size = calm_size if state.is_calm else size
        groups.setdefault(own_size, []).append(k)
    return list(groups.items())


def check_size(frame: Frame, states: Sequence[PropagationState]) -> None:
    """Check that a frame has the size of those before it.

    Raises:
        ValueError: it has another.
    """
    if not states:
        return
    height, width = frame.image.shape[2:]
    last_height, last_width = states[0].guide.shape
    if (height, width) != (last_height, last_width):
        raise ValueError(
            f'frame {frame.meta.index} is {width}x{height}, but the frames before it are '
            f'{last_width}x{last_height}; all frames of a video must have the same size'
        )


def with_prompted_frame(state: PropagationState, now: Memory | None) -> PropagationState:
    """Remember for good a frame in which an object was given.

    Args:
        state: that waits for its commit.
        now: keys and values of the frame; None where the head reads no memory.
    """
    if state.first is None or now is None:
        return replace(state, first=state.first or now, is_prompted=False)
    if not state.is_prompted:
        return state
    # the newest of them
    corrections = (*state.corrections, now)
    corrections = corrections[-MAX_CORRECTIONS:]
    return replace(state, corrections=corrections, is_prompted=False)


def with_memories(state: PropagationState, memories: Sequence[Memory]) -> PropagationState:
    """Remember other frames in which an object was given, as many as are kept.

    An object that now remembers something else is computed in the next frame. While a pass goes
    from one prompted frame to the next its objects are told the same in each frame, and may be idle
    or carried.

    Args:
        state: that is committed.
        memories: of these frames, at least one, the most important first.
    """
    corrections = tuple(memories[1 : MAX_CORRECTIONS + 1])
    recalled = replace(state, first=memories[0], corrections=corrections)
    # a device, which keeps neither, is not asked
    is_kept = state.look is not None or state.view is not None
    if is_kept and not _are_same_memories(state, recalled):
        recalled = replace(recalled, look=None, view=None)
    return recalled


def _are_same_memories(one: PropagationState, other: PropagationState) -> bool:
    """Say whether two states remember the same of the frames in which the object was given."""
    frames = (one.first, *one.corrections)
    other_frames = (other.first, *other.corrections)
    if len(frames) != len(other_frames):
        return False
    for memory, other_memory in zip(frames, other_frames, strict=True):
        if memory is other_memory:
            continue
        if memory is None or other_memory is None:
            return False
        for rows, other_rows in zip(memory, other_memory, strict=True):
            if rows.shape != other_rows.shape or not bool((rows == other_rows).all()):
                return False
    return True


def gather_memories(states: Sequence[PropagationState]) -> tuple[list[Memory], Array | None]:
    """Gather what K objects remember.

    Frames that were seen in squares of other sizes have other numbers of positions: they are filled
    up with positions that are read nowhere.

    Returns:
        M memories, each (K, ...): first frame, last frame, corrections; and their weights (K, M)
        where there are corrections, 0 for those that an object does not have.
    """
    # the most positions of a frame
    length = 0
    for state in states:
        for memory in (state.first, state.last, *state.corrections):
            if memory is not None:
                length = max(length, memory[0].shape[-1])

    memories = [stack_memories([state.first for state in states], length)]
    memories.append(stack_memories([state.last for state in states], length))
    count = max(len(state.corrections) for state in states)
    if count == 0:
        return memories, None
    guide = states[0].guide
    xp = array_namespace(guide)
    weights = xp.ones((len(states), 2 + count), dtype=xp.float32, device=device(guide))
    for index in range(count):
        corrections: list[Memory | None] = []
        for k, state in enumerate(states):
            if index < len(state.corrections):
                corrections.append(state.corrections[index])
            else:
                # a place that this object does not need
                corrections.append(state.last)
                weights[k, 2 + index] = 0
        memories.append(stack_memories(corrections, length))
    return memories, weights


def stack_memories(memories: Sequence[Any], length: int) -> Memory:
    """Stack the memories of K objects: (K, A, length) and (K, V + 1, length)."""
    all_keys = []
    all_values = []
    for keys, values in memories:
        all_keys.append(_fill_up(keys, length, FAR_KEY))
        all_values.append(_fill_up(values, length, 0.0))
    xp = array_namespace(all_keys[0])
    return xp.stack(all_keys), xp.stack(all_values)


def _fill_up(rows: Array, length: int, value: float) -> Array:
    """Fill rows (A, N) up with a number: (A, length)."""
    channels, count = rows.shape
    if count == length:
        return rows
    xp = array_namespace(rows)
    fill = xp.full((channels, length - count), value, dtype=rows.dtype, device=device(rows))
    return xp.concat([rows, fill], axis=1)


def guide_boxes(guides: Array) -> Array:
    """Find the boxes of the positive pixels, without specks far from the object.

    Args:
        guides: (K, H, W).

    Returns:
        (K, 4) float32 xyxy, continuous: a single pixel at the origin has (0, 0, 1, 1). The whole
        frame where no pixel is positive.
    """
    return boxes_of_masks(as_numpy(guides > 0), guides)


def boxes_of_masks(masks: NDArray[np.bool_], like: Array) -> Array:
    """Find the boxes of masks (K, H, W), as ``guide_boxes`` does those of guides.

    Args:
        masks: of the host, whose OpenCV finds connected parts.
        like: an array of the kind that is wanted, on the device that is wanted.
    """
    rows = [_box_without_specks(mask) for mask in masks.view(np.uint8)]
    boxes = array_like(rows, like)
    # also without objects
    return boxes.reshape(-1, 4)


def _box_without_specks(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Find the box xyxy of one object's pixels (H, W)."""
    # The parts are looked for where there are pixels.
    first_x, first_y, width, height = cv2.boundingRect(mask)
    if width == 0:
        height, width = mask.shape
        return 0, 0, width, height
    inside = mask[first_y : first_y + height, first_x : first_x + width]

    # (parts, 5): box and area of each connected part; the first row is the background's
    _, _, statistics, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    parts = statistics[1:]

    # Parts that are much smaller than the largest are specks.
    areas = parts[:, cv2.CC_STAT_AREA]
    is_counted = areas >= MIN_PART_RATIO * areas.max()
    counted = parts[is_counted]

    # one box around all others
    left, top, width, height, _ = counted.T
    right = left + width
    bottom = top + height
    x1 = first_x + int(left.min())
    y1 = first_y + int(top.min())
    x2 = first_x + int(right.max())
    y2 = first_y + int(bottom.max())
    return x1, y1, x2, y2


def limit_change(boxes: Array, last: Array, rate: Array | float) -> Array:
    """Limit how much width and height of boxes differ from the frame before; the centers stay.

    A mask that has lost a part would otherwise make the square around it smaller, in which the part
    is then not seen any more.

    Args:
        boxes, last: (K, 4) xyxy, of this frame and of the one before.
        rate: the largest change, e.g. 0.02, one number or (K, 1).
    """
    xp = array_namespace(boxes)
    # (K, 2): center and size of the boxes
    low = boxes[:, :2]
    high = boxes[:, 2:]
    center = (low + high) / 2
    size = high - low

    # (K, 2): the size in the frame before, and the bounds that follow from it
    last_size = last[:, 2:] - last[:, :2]
    smallest = last_size * (1 - rate)
    largest = last_size * (1 + rate)

    # (K, 4): boxes of the bounded size around the same centers
    size = xp.maximum(size, smallest)
    size = xp.minimum(size, largest)
    half = size / 2
    return xp.concat([center - half, center + half], axis=1)


def moved_edges(boxes: Array, last: Array) -> Array:
    """Measure how far edges of boxes came in a frame: (K,), the farthest over the longer side.

    Args:
        boxes, last: (K, 4) xyxy, of this frame and of the one before.
    """
    xp = array_namespace(boxes)
    longer_side = xp.max(boxes[:, 2:] - boxes[:, :2], axis=1)
    distance = xp.max(xp.abs(boxes - last), axis=1)
    return distance / longer_side


def box_changes(
    states: Sequence[PropagationState], boxes: Array, last_boxes: Array
) -> list[float | None]:
    """Measure how much the boxes (K, 4) of objects changed; an older, larger change counts on, but
    less from frame to frame.
    """
    changes: list[float | None] = []
    now = as_numpy(moved_edges(boxes, last_boxes)).tolist()
    for state, change in zip(states, now, strict=True):
        before = (state.change or 0.0) * CHANGE_DECAY
        changes.append(max(change, before))
        # In the frame in which it is given an object has come from nowhere.
        if state.is_prompted:
            changes[-1] = None
    return changes


def search_boxes(
    states: Sequence[PropagationState], growth: float, height: int, width: int
) -> Array:
    """Draw the boxes (K, 4) in which K objects are looked for.

    That is where each was in the frame before; a lost object is looked for where it was last seen,
    in a box that grows from frame to frame.

    Args:
        states: K.
        growth: factor from frame to frame.
        height, width: of the frame.
    """
    boxes = []
    for state in states:
        box = state.box
        if state.frames_lost:
            factor = growth ** min(state.frames_lost, MAX_GROWTH_STEPS)
            box = grow_box(box, factor, height, width)
        boxes.append(box)
    xp = array_namespace(boxes[0])
    return xp.stack(boxes)


def grow_box(box: Array, factor: float, height: int, width: int) -> Array:
    """Enlarge a box around its center, and clip it to the frame.

    Args:
        box: (4,) xyxy.
        factor: of its sides.
        height, width: of the frame.
    """
    xp = array_namespace(box)
    low = box[:2]
    high = box[2:]
    center = (low + high) / 2
    half = (high - low) / 2
    half = half * factor

    # (2,) each: its corners inside the frame
    frame_corner = array_like([width, height], box)
    first = xp.clip(center - half, 0)
    last = xp.minimum(center + half, frame_corner)
    return xp.concat([first, last])


def box_with_points(box: Array, points: Array) -> Array:
    """Enlarge a box so that it holds all points.

    Args:
        box: (4,) xyxy.
        points: (P, 3) rows x, y, sign; sign 0 is none.
    """
    # (n, 2): the places of the points that there are
    is_point = points[:, 2] != 0
    places = points[is_point, :2]
    if len(places) == 0:
        return box

    xp = array_namespace(box)
    low = xp.minimum(box[:2], xp.min(places, axis=0))
    high = xp.maximum(box[2:], xp.max(places, axis=0))
    return xp.concat([low, high])


def square_around_points(points: Array, height: int, width: int) -> Array:
    """Draw the square (3,) in which the points of an object are looked at first.

    Args:
        points: (P, 3) rows x, y, sign.
        height, width: of the frame.
    """
    # Those on the object count, or, where there are none, all others.
    places = points[:, :2]
    signs = points[:, 2]
    counted = places[signs > 0]
    if len(counted) == 0:
        counted = places[signs < 0]
    xp = array_namespace(points)
    center = xp.mean(counted, axis=0)
    side = round(POINT_SIDE_RATIO * min(height, width))
    corner = xp.round(center - side / 2)
    return xp.astype(xp.concat([corner, array_like([side], corner)]), xp.int64)


def disks_at_points(points: Array, like: Array, radius: float) -> Array:
    """Make a mask prior of disks around the points that are on the object.

    Args:
        points: (P, 3) rows x, y, sign.
        like: (H, W), of the size and kind that is wanted.
        radius: of the disks in pixels.

    Returns:
        (H, W): +1 in the disks, -1 elsewhere.
    """
    # (H, 1) and (1, W): the middles of the pixels
    xp = array_namespace(like)
    height, width = like.shape
    rows = xp.arange(height, dtype=xp.float32, device=device(like))
    rows = rows[:, None] + 0.5
    columns = xp.arange(width, dtype=xp.float32, device=device(like))
    columns = columns[None, :] + 0.5

    prior = xp.full_like(like, -1.0)
    for x, y, sign in points.tolist():
        if sign <= 0:
            continue
        down = xp.square(rows - y)
        across = xp.square(columns - x)
        distance = down + across
        prior[distance <= radius**2] = 1.0
    return prior
