"""Objects that the network need not see because they neither move nor look other than before.

On a CPU an idle object keeps what was found of it, until something changes around it; see
``MaskPropagator``. Arrays are torch's or numpy's.

K objects, H x W the padded frame, C = `IDLE_CELLS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmvos.ops.arrays import Array, array_namespace
from mmvos.ops.crop import crop_squares, squares_around

from ..carried_objects import Kept
from .state import LastLook, PropagationState

IDLE_CELLS = 24  # cells across the square in which an idle object is watched
IDLE_CONTEXT = 1.4  # side of that square over the longer side of the object's box
IDLE_CELL_SIDE = 4  # pixels of the smallest cell: the noise of a camera is averaged
IDLE_FRAMES = 10  # frames after which an idle object is computed again


def find_idle(
    states: Sequence[PropagationState], image: Array, change: float
) -> dict[int, Kept[PropagationState]]:
    """Find the objects that are idle: the number of each, and what it keeps; see ``is_idle``."""
    idle = {}
    for k, state in enumerate(states):
        if state.look is not None and is_idle(state, image, change):
            look = replace(state.look, age=state.look.age + 1)
            idle[k] = Kept(look.probabilities, replace(state, look=look))
    return idle


def is_idle(state: PropagationState, image: Array, change: float) -> bool:
    """Say whether an object neither moves nor looks other than when it was computed.

    Args:
        state: of the object.
        image: (1, 3, H, W), the normalized frame.
        change: of a color of a cell, above which it looks other.
    """
    look = state.look
    if look is None or look.age >= IDLE_FRAMES:
        return False
    if state.frames_lost or not state.is_calm:
        return False

    # The same cells of this frame.
    xp = array_namespace(image)
    [cells] = crop_squares(image, [0], look.square[None], IDLE_CELLS)
    differences = xp.abs(cells - look.cells)
    return bool(xp.max(differences) <= change)


def take_looks(image: Array, boxes: Array, found: Array) -> list[LastLook | None]:
    """Keep what was found of K objects, and how the frame looks around them.

    Args:
        image: (1, 3, H, W), the normalized frame.
        boxes: (K, 4) xyxy, of the objects.
        found: (K, H, W) in [0, 1].
    """
    xp = array_namespace(image)
    smallest = IDLE_CELLS * IDLE_CELL_SIDE
    squares = squares_around(boxes, IDLE_CONTEXT, smallest, 2 * max(image.shape[2:]))
    cells = crop_squares(image, [0] * len(squares), squares, IDLE_CELLS)
    looks: list[LastLook | None] = []
    for k in range(len(squares)):
        # copies, because what is kept of one object must not keep what was found of the others
        look = LastLook(
            probabilities=xp.asarray(found[k], copy=True),
            square=xp.asarray(squares[k], copy=True),
            cells=xp.asarray(cells[k], copy=True),
        )
        looks.append(look)
    return looks
