"""PropagationState: what mask propagation knows of an object between two frames, and which frames
are remembered of it.

K objects, H x W the padded frame, A and V the lengths of keys and values, N positions of a
remembered frame. Arrays are torch's or numpy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmvos.ops.arrays import Array, array_namespace, device

from ..tracked_objects import TrackedState

MAX_CORRECTIONS = 4  # frames that are remembered beside the first and the last, the newest of them
FAR_KEY = 1000.0  # all numbers of a key that no position of a frame is like

Memory = tuple[Array, Array]  # keys (A, N) and values (V + 1, N) of a frame


@dataclass(frozen=True, kw_only=True)
class PropagationState(TrackedState):
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
            square (3,) they are of.
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
