"""Who is carried by the motion of the picture, and who is computed, by the rules alone: there is no
network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from mmvos.models.carried_objects import (
    FRAMES_CARRIED,
    CarriableState,
    carry,
    find_carried,
    join_kept,
    move_object,
)
from mmvos.ops.optical_flow import measure_motion, take_view
from mmvos.structures import Frame, FrameMeta

HEIGHT, WIDTH = 120, 160
SIDE = 16
_NOISE = np.random.default_rng(0).normal(size=(2 * HEIGHT, 2 * WIDTH)).astype(np.float32)
PICTURE = 10 * cv2.GaussianBlur(_NOISE, (0, 0), 3)


@dataclass(frozen=True, kw_only=True)
class CalmState(CarriableState):
    """An object that was seen, and hardly moves."""

    @property
    def is_calm(self) -> bool:
        return True


def frame(across: int = 0, down: int = 0, valid: tuple[int, int] = (HEIGHT, WIDTH)) -> Frame:
    """A frame in which everything has moved, of which a part is valid, the rest padding."""
    part = PICTURE[40 - down : 40 - down + HEIGHT, 40 - across : 40 - across + WIDTH]
    image = np.zeros((1, 3, HEIGHT, WIDTH), np.float32)
    height, width = valid
    image[0, :, :height, :width] = part[:height, :width]
    return Frame(image, FrameMeta(0, valid, valid, (1.0, 1.0)))


def guide_at(x: int, y: int) -> np.ndarray:
    """(HEIGHT, WIDTH), -1, and +1 in a square."""
    guide = np.full((HEIGHT, WIDTH), -1, np.float32)
    guide[y : y + SIDE, x : x + SIDE] = 1
    return guide


def states_of(count: int) -> tuple[CalmState, ...]:
    """Objects in rows of six; in the next frame all must be computed."""
    states = []
    for k in range(count):
        row, column = divmod(k, 6)
        guide = guide_at(8 + 24 * column, 8 + 24 * row)
        states.append(CalmState(id=k + 1, guide=guide))
    return tuple(states)


def one_step(states, item, computed_objects=3):
    """The numbers of the objects that are computed in a frame, and the states after it."""
    view = take_view(item.image)
    kept = find_carried(item, view, states, (), computed_objects)
    computed = [k for k in range(len(states)) if k not in kept]
    looked_for = [replace(states[k], frames_carried=0) for k in computed]
    found = np.zeros((len(computed), HEIGHT, WIDTH), np.float32)
    _, after = join_kept(len(states), kept, found, looked_for, view)
    return computed, after


@pytest.mark.parametrize(
    ('count', 'least', 'most'), [(4, 3, 3), (8, 3, 3), (9, 3, 3), (16, 5, 6), (20, 6, 8)]
)
def test_all_have_their_turn(count: int, least: int, most: int) -> None:
    """In 100 frames nobody waits for longer than the others, and no frame takes much longer."""
    states = states_of(count)
    item = frame()
    turns: list[list[int]] = [[] for _ in states]
    counts = []
    for index in range(100):
        computed, states = one_step(states, item)
        counts.append(len(computed))
        for k in computed:
            turns[k].append(index)
    assert counts[0] == count
    assert (min(counts[1:]), max(counts[1:])) == (least, most)
    for own in turns:
        gaps = np.diff([*own, 100])
        assert gaps.max() <= FRAMES_CARRIED + 1


def test_idle_objects_take_no_turn() -> None:
    _, states = one_step(states_of(6), frame())
    item = frame()
    kept = find_carried(item, take_view(item.image), states, {0, 1, 2}, 3)
    assert kept == {}
    kept = find_carried(item, take_view(item.image), states, {0, 1}, 3)
    assert len(kept) == 1 and not set(kept) & {0, 1}


def test_the_least_explained_are_computed_first() -> None:
    """Of those that were carried equally long."""
    _, states = one_step(states_of(5), frame())
    item = frame()
    # one pixel of the fifth object is other, which is less than one in a hundred of those around
    x, y = 8 + 24 * 4 + 6, 14
    item.image[..., y : y + 2, x : x + 2] = item.image.max()
    computed, _ = one_step(states, item, computed_objects=1)
    assert computed == [4]


def test_the_noise_of_a_camera_is_explained() -> None:
    """Of 5 gray levels where the picture has 255."""
    rng = np.random.default_rng(0)
    now = frame(across=2)
    level = (PICTURE.max() - PICTURE.min()) / 255
    now.image[:] += rng.normal(scale=5 * level, size=now.image.shape)
    motion = measure_motion(take_view(frame().image), take_view(now.image), HEIGHT, WIDTH)
    assert move_object(0, CalmState(id=1, guide=guide_at(60, 50)), motion).mismatch == 0


def test_what_changes_beside_an_object_counts() -> None:
    """Up to 4 pixels of a view, which are 8 of the frame, away; farther it may be anything."""
    state = CalmState(id=1, guide=guide_at(60, 50))
    mismatches = []
    for distance in (2, 14):
        now = frame()
        x = 60 + SIDE + distance
        now.image[..., 54:60, x : x + 4] = now.image.max()
        views = (take_view(frame().image), take_view(now.image))
        motion = measure_motion(*views, HEIGHT, WIDTH)
        mismatches.append(move_object(0, state, motion).mismatch)
    beside, far = mismatches
    assert beside > 0.01
    assert far == 0


def test_nothing_is_carried_into_a_frame_of_another_size() -> None:
    _, states = one_step(states_of(5), frame())
    for height, width in ((HEIGHT + 1, WIDTH), (HEIGHT, WIDTH - 4), (2 * HEIGHT, 2 * WIDTH)):
        image = np.zeros((1, 3, height, width), np.float32)
        other = Frame(image, FrameMeta(1, (height, width), (height, width), (1.0, 1.0)))
        assert find_carried(other, take_view(image), states, (), 3) == {}


def test_nothing_is_carried_into_the_padding() -> None:
    valid = (HEIGHT - 20, WIDTH - 24)
    state = CalmState(id=1, guide=guide_at(WIDTH - 24 - SIDE, HEIGHT - 20 - SIDE))
    before = frame(valid=valid)
    now = frame(across=3, down=3, valid=valid)
    motion = measure_motion(take_view(before.image), take_view(now.image), *before.image.shape[2:])
    moved = move_object(0, state, motion)
    everywhere = carry(moved, motion, HEIGHT, WIDTH).probabilities
    assert everywhere[valid[0] :].max() > 0.5 and everywhere[:, valid[1] :].max() > 0.5

    inside = carry(moved, motion, *valid).probabilities
    assert inside[valid[0] :].max() == 0 and inside[:, valid[1] :].max() == 0
    assert np.array_equal(inside[: valid[0], : valid[1]], everywhere[: valid[0], : valid[1]])
    assert (inside > 0.5).sum() > SIDE**2 / 2


def test_an_object_too_small_for_a_view_is_computed() -> None:
    view = take_view(frame().image)
    motion = measure_motion(view, view, HEIGHT, WIDTH)
    for pixels in (np.s_[50, 70], np.s_[51:53, 71:73], np.s_[:0]):
        guide = np.full((HEIGHT, WIDTH), -1, np.float32)
        guide[pixels] = 1
        assert move_object(0, CalmState(id=1, guide=guide), motion).mismatch == 1


@pytest.mark.parametrize(('across', 'down'), [(0, 0), (3, -2), (-5, 4)])
def test_the_whole_object_is_moved(across: int, down: int) -> None:
    """Only the part of the frame in which it is is computed; nothing of it is cut off."""
    for x, y, side in ((71, 51, 4), (0, 0, 30), (WIDTH - 31, HEIGHT - 31, 31)):
        guide = np.full((HEIGHT, WIDTH), -1, np.float32)
        guide[y : y + side, x : x + side] = 1
        state = CalmState(id=1, guide=guide)
        views = (take_view(frame().image), take_view(frame(across, down).image))
        motion = measure_motion(*views, HEIGHT, WIDTH)
        moved = move_object(0, state, motion)
        found = carry(moved, motion, HEIGHT, WIDTH).probabilities
        ys = np.clip(motion.places[..., 1], 0, HEIGHT - 1)
        xs = np.clip(motion.places[..., 0], 0, WIDTH - 1)
        is_object = guide[np.rint(ys).astype(int), np.rint(xs).astype(int)] > 0
        # equal but for pixels between two of the frame before
        assert (np.abs(found - is_object) > 0.52).sum() == 0
