"""Objects that move little are seen in tighter and smaller squares; all others, and those that have
just been given, as before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_segmenter import find, frame, square_mask, start, tiny_segmenter

from mmvos.models.masktrack.state import (
    CALM_CHANGE,
    CHANGE_DECAY,
    gather_memories,
    moved_edges,
)

# Squares of 64 pixels have (64 / 16)^2 positions on the coarsest level, those of 48 have 9.
CALM = 48
POSITIONS = 16
CALM_POSITIONS = 9


def positions(states):
    """How many positions of its last frame each object remembers."""
    return [state.last[0].shape[-1] for state in states]


def test_an_object_that_stays_is_seen_in_smaller_squares_until_it_moves():
    tracker = tiny_segmenter(calm_size=CALM).tracker
    states = start(tracker, square_mask(10, 10))
    seen = []
    # It stays for two frames, goes 4 of its 24 pixels to the right, and stays there.
    for x in (10, 10, 14, 14):
        states = find(tracker, states, square_mask(x, 10))
        seen.append(positions(states)[0])
    # The size follows from the frames before, and the first of them is always seen in full.
    assert seen == [POSITIONS, CALM_POSITIONS, CALM_POSITIONS, POSITIONS]
    assert states[0].first[0].shape[-1] == POSITIONS


def test_a_change_of_long_ago_counts_less_and_less():
    tracker = tiny_segmenter(calm_size=CALM).tracker
    states = start(tracker, square_mask(10, 10))
    states = find(tracker, states, square_mask(14, 10))
    assert states[0].change == pytest.approx(4 / 24)
    frames = 0
    while states[0].change >= CALM_CHANGE:
        states = find(tracker, states, square_mask(14, 10))
        frames += 1
    # 1/6 * .9^9 = .065, 1/6 * .9^10 = .058
    assert (CHANGE_DECAY, frames) == (0.9, 10)


def test_a_lost_object_is_not_calm():
    tracker = tiny_segmenter(calm_size=CALM).tracker
    states = start(tracker, square_mask(10, 10))
    for _ in range(2):
        states = find(tracker, states, square_mask(10, 10))
    assert states[0].change == 0
    states = find(tracker, states, np.zeros_like(square_mask(10, 10)))
    assert states[0].frames_lost == 1
    assert states[0].change is None


def test_the_object_has_as_many_pixels_of_the_network_in_a_tighter_square():
    tracker = tiny_segmenter(calm_size=CALM).tracker
    sides = []
    draw = tracker._squares
    tracker._squares = lambda *arguments: sides.append(draw(*arguments)[0, 2]) or draw(*arguments)
    states = start(tracker, square_mask(10, 10))
    for _ in range(2):
        states = find(tracker, states, square_mask(10, 10))
    # 1.8 * 24 = 43.2, and three quarters of it are 32.4
    assert [int(side) for side in sides] == [43, 43, 32]


def test_without_the_option_nothing_changes_and_moving_objects_are_as_without_it():
    """To the last bit."""
    results = []
    for calm in (None, CALM):
        tracker = tiny_segmenter(calm_size=calm).tracker
        states = start(tracker, square_mask(10, 10))
        for x in (16, 22, 16):
            states = find(tracker, states, square_mask(x, 10))
        results.append(states[0])
    assert torch.equal(results[0].last[0], results[1].last[0])
    assert torch.equal(results[0].last[1], results[1].last[1])
    assert torch.equal(results[0].box, results[1].box)


@torch.no_grad()
def test_objects_of_two_sizes_are_found_as_each_alone():
    tracker = tiny_segmenter(calm_size=CALM).tracker
    masks = [square_mask(50, 30), square_mask(4, 4), square_mask(20, 10)]
    moved = [square_mask(50, 30), square_mask(10, 4), square_mask(20, 10)]
    found = {}
    for numbers in ([0, 1, 2], [0], [1], [2]):
        states = start(tracker, *[masks[k] for k in numbers])
        states = find(tracker, states, *[moved[k] for k in numbers])
        answer, waiting = tracker.propagate(frame(2), states)
        found[tuple(numbers)] = (answer, [state.top.shape[-1] for state in waiting])
    together, sides = found[0, 1, 2]
    # the one in the middle moves
    assert sides == [3, 4, 3]
    for k in range(3):
        alone = found[k,][0][0]
        assert torch.allclose(together[k], alone, atol=1e-6)
        assert alone.max() > 0


def test_frames_of_several_sizes_are_read_as_one_by_one():
    """A first frame of 9, a last one of 16, a correction of 9 positions."""
    generator = torch.Generator().manual_seed(0)
    tracker = tiny_segmenter().tracker
    state = start(tracker, square_mask(10, 10))[0]
    remembered = []
    for count in (9, 16, 9):
        keys = torch.randn(len(state.last[0]), count, generator=generator)
        values = torch.randn(len(state.last[1]), count, generator=generator)
        remembered.append((keys, values))
    first, last, correction = remembered
    state = replace(state, first=first, last=last, corrections=(correction,))

    top = torch.randn(1, 256, 4, 4, generator=generator)
    with torch.no_grad():
        memories, weights = gather_memories([state])
        together = tracker.head._attend(top, memories, weights)
        alone = []
        for keys, values in remembered:
            alone.append(tracker.head._attend(top, [(keys[None], values[None])]))
    assert [keys.shape[-1] for keys, _ in memories] == [16, 16, 16]
    assert torch.allclose(together, sum(alone) / 3, atol=1e-6)


def test_how_far_edges_came():
    boxes = torch.tensor([[10.0, 10, 30, 20], [0, 0, 10, 40]])
    last = torch.tensor([[9.0, 10, 28, 20], [0, 0, 10, 30]])
    assert moved_edges(boxes, last).tolist() == pytest.approx([2 / 20, 10 / 40])


def test_a_size_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='calm_size'):
        tiny_segmenter(calm_size=40)


@pytest.mark.parametrize('size', [64, 80])
def test_a_size_that_is_not_smaller_changes_nothing(size):
    """--cfg-options model.tracker.size=320 goes below the shipped calm_size."""
    assert tiny_segmenter(calm_size=size).tracker.calm_size is None
