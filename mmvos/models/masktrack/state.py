"""What the mask propagator knows of an object between two frames, and which frames it remembers.

The first frame and the last one are remembered (Oh et al., RGMP, CVPR 2018; STM, ICCV 2019), and
frames in which a user gave the object again. Their number is bounded, so memory does not grow with
the video. K objects, H x W the padded frame; a memory is keys (A, N) and values (V + 1, N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmvos.ops.arrays import Array, array_namespace, device

from ..tracked_objects import TrackedState

Memory = tuple[Array, Array]
MAX_CORRECTIONS = 4  # frames that are remembered beside the first and the last, the newest of them


@dataclass(frozen=True, kw_only=True)
class PropagationState(TrackedState):
    """What is known of one object between two frames.

    Attributes:
        guide: (H, W), the mask prior of the next frame; of a lost object its last one, fading.
        box: (4,) xyxy, where the object was when it was last seen.
        lost: number of frames since it was last seen.
        first, last: keys and values of the frame in which it was given, and of the last one in
            which it was seen, or the first where it never was; None where the head reads no memory.
        corrections: keys and values of later frames in which it was given again, oldest first.
        is_prompted: whether the frame that waits for its commit is one of these.
        top, square: of the frame that waits for its commit, the coarsest features (C, h, w) and the
            square (3,) they are of.
    """

    guide: Array
    box: Array
    lost: int = 0
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

    Returns:
        M memories, each (K, ...): first frame, last frame, corrections; and their weights (K, M)
        where there are corrections, 0 for those that an object does not have.
    """
    memories = [stack_memories([state.first for state in states])]
    memories.append(stack_memories([state.last for state in states]))
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
        memories.append(stack_memories(corrections))
    return memories, weights


def stack_memories(memories: Sequence[Any]) -> Memory:
    """Stack the memories of K objects."""
    keys, values = zip(*memories, strict=True)
    xp = array_namespace(keys[0])
    # (K, A, N) and (K, V + 1, N)
    stacked_keys = xp.stack(keys)
    stacked_values = xp.stack(values)
    return stacked_keys, stacked_values
