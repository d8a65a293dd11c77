"""Of many objects that SiamMask follows some are computed, and the motion carries the others.

The network is replaced by one that finds each object where it is; what is tested is who is computed
when, and what is known of those that are not.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from tiny_siamese import HEIGHT, WIDTH, tiny_siamese

from mmvos.models.carried_objects import FRAMES_CARRIED
from mmvos.models.siammask import tracking
from mmvos.models.tracked_objects import PromptedObjects, PromptKind
from mmvos.ops.polygons import box_polygon
from mmvos.structures import Frame, FrameMeta

CORNERS = [(8, 6), (36, 6), (64, 6), (8, 40), (36, 40)]
SIDE = 20
_NOISE = np.random.default_rng(0).normal(size=(2 * HEIGHT, 2 * WIDTH, 3)).astype(np.float32)
PICTURE = 128 + 400 * cv2.GaussianBlur(_NOISE, (0, 0), 2.5).transpose(2, 0, 1)


def frame(index: int, shift: int = 0) -> Frame:
    """A frame in which everything has moved to the right by so many pixels."""
    left = WIDTH // 2 - shift
    part = PICTURE[:, 20 : 20 + HEIGHT, left : left + WIDTH]
    image = torch.from_numpy(part.copy())[None]
    return Frame(image, FrameMeta(index, (HEIGHT, WIDTH), (HEIGHT, WIDTH), (1.0, 1.0)))


def center_of(object_id: int, shift: int) -> tuple[float, float]:
    x, y = CORNERS[object_id - 1]
    return x + shift + SIDE / 2, y + SIDE / 2


def mask_of(object_id: int, shift: int) -> torch.Tensor:
    mask = torch.zeros(HEIGHT, WIDTH)
    x, y = CORNERS[object_id - 1]
    mask[y : y + SIDE, x + shift : x + shift + SIDE] = 1
    return mask


class Follower:
    """A tracker whose network finds each object where it is.

    Attributes:
        computed: of each frame the ids that the network saw.
        expected: of these by frame and id the center where each was looked for.
    """

    def __init__(self, count: int = 5, **options) -> None:
        self.tracker = tiny_siamese(**options).tracker
        self.tracker._find = self.find
        self.computed: list[list[int]] = []
        self.expected: dict[tuple[int, int], tuple[float, float]] = {}
        self.shift = 0
        self.scores: dict[int, float] = {}
        self.index = 0
        masks = torch.stack([mask_of(k + 1, 0) for k in range(count)])
        boxes = [(x, y, x + SIDE, y + SIDE) for x, y in CORNERS[:count]]
        objects = PromptedObjects(
            ids=tuple(range(1, count + 1)),
            mask_priors=2 * masks - 1,
            kinds=(PromptKind.MASK,) * count,
            boxes=tuple(tuple(map(float, box)) for box in boxes),
        )
        with torch.no_grad():
            found, states = self.tracker.start(frame(0), objects)
        self.states = self.tracker.commit(states, found)

    def find(self, item, expected):
        masks = []
        moved = []
        for state in expected:
            self.computed[-1].append(state.id)
            self.expected[self.index, state.id] = state.center
            center = center_of(state.id, self.shift)
            masks.append(mask_of(state.id, self.shift) * 2 - 1)
            score = self.scores.get(state.id, 0.9)
            region = box_polygon(center, (SIDE, SIDE))
            moved.append(replace(state, center=center, score=score, region=region))
        return torch.stack(masks), moved

    def go_on(self, frames: int, pace: int = 1) -> torch.Tensor:
        """Go through frames in which all moves by so many pixels, and return the last answer."""
        for _ in range(frames):
            self.index += 1
            self.shift += pace
            self.computed.append([])
            answer, waiting = self.tracker.propagate(frame(self.index, self.shift), self.states)
            self.states = self.tracker.commit(waiting, answer)
        return answer


def test_two_are_computed_in_a_frame_in_turns() -> None:
    follower = Follower(computed_objects=2)
    follower.go_on(11)
    # Nothing is known of how they move before the first frame.
    assert follower.computed[0] == [1, 2, 3, 4, 5]
    assert [len(ids) for ids in follower.computed[1:]] == [2] * 10
    for object_id in range(1, 6):
        frames = [index for index, ids in enumerate(follower.computed) if object_id in ids]
        gaps = np.diff([*frames, 11])
        assert gaps.max() <= FRAMES_CARRIED + 1


def test_a_carried_object_is_where_the_picture_went() -> None:
    follower = Follower(computed_objects=2)
    follower.go_on(2)
    answer = follower.go_on(1)
    carried = [state for state in follower.states if state.frames_carried]
    assert len(carried) == 3
    for state in carried:
        mask = mask_of(state.id, 3) > 0.5
        found = answer[state.id - 1] > 0.5
        overlap = (mask & found).sum() / (mask | found).sum()
        assert overlap > 0.93
        assert np.allclose(state.center, center_of(state.id, 3), atol=0.5)
        assert np.allclose(state.velocity, (1, 0), atol=0.3)
        left = min(x for x, _ in state.region)
        assert left == pytest.approx(CORNERS[state.id - 1][0] + 3, abs=0.5)
    # It is looked for there when it is computed again.
    follower.go_on(2)
    for (index, object_id), center in follower.expected.items():
        assert np.allclose(center, center_of(object_id, index - 1), atol=0.7)


def test_few_objects_are_all_computed() -> None:
    follower = Follower(count=2, computed_objects=2)
    follower.go_on(3)
    assert follower.computed == [[1, 2]] * 3
    assert all(state.guide is None and state.view is None for state in follower.states)


def test_off_as_published_by_default() -> None:
    follower = Follower()
    follower.go_on(3)
    assert follower.computed == [[1, 2, 3, 4, 5]] * 3
    assert all(state.guide is None and state.view is None for state in follower.states)


def test_objects_that_move_fast_are_computed() -> None:
    follower = Follower(computed_objects=2)
    follower.go_on(5, pace=2)
    assert follower.computed == [[1, 2, 3, 4, 5]] * 5


def test_lost_objects_are_computed() -> None:
    follower = Follower(computed_objects=2, lost_score=0.5)
    follower.scores = {1: 0.2, 2: 0.2, 3: 0.2}
    follower.go_on(6)
    for ids in follower.computed:
        assert {1, 2, 3} <= set(ids)
    assert follower.states[0].guide is None


def test_what_is_kept_of_a_prompt_holds_no_mask() -> None:
    follower = Follower(computed_objects=2)
    follower.go_on(2)
    state = follower.states[0]
    assert state.guide is not None and state.view is not None
    kept = follower.tracker.keep_memory(state)
    assert kept.guide is None and kept.view is None
    assert kept.kernels is state.kernels


def test_a_device_computes_all_objects_at_once(monkeypatch) -> None:
    follower = Follower(computed_objects=2)
    follower.go_on(3)
    monkeypatch.setattr(tracking, 'is_on_host', lambda array: False)
    follower.go_on(2)
    assert follower.computed[3:] == [[1, 2, 3, 4, 5]] * 2
    assert all(state.guide is None and state.view is None for state in follower.states)
