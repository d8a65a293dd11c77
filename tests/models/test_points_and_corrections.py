"""Points and corrections: what a user says about an object in its first frame and in later ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_segmenter import HEIGHT, WIDTH, clicked_segmenter, frame, square_mask, tiny_segmenter

from mmvos.models.masktrack.state import (
    MAX_CORRECTIONS,
    box_with_points,
    disks_at_points,
    gather_memories,
)
from mmvos.structures import Prompts
from mmvos.structures.rle import decode

LARGE, SMALL = square_mask(10, 10), square_mask(50, 30)


def points(object_id, *given, box=None, **more):
    return Prompts((object_id,), (None,), (box,), (given,), **more)


def masks(**given):
    ids = tuple(int(name[1:]) for name in given)
    return Prompts(ids, tuple(given.values()), (None,) * len(ids))


@torch.no_grad()
def steps(model, prompts, count):
    """The states after each frame; ``prompts`` are by frame."""
    state, states = model.init_state(), []
    for index in range(count):
        state, _ = model.step(frame(index), state, prompts.get(index))
        states.append(state)
    return states


def test_clicks_reach_the_network_in_the_pixels_of_their_square():
    model, guides = clicked_segmenter(), []
    model.tracker.head.register_forward_pre_hook(
        lambda _module, arguments: guides.append(arguments[1])
    )
    steps(model, {0: points(1, (40.0, 30.0, True), (60.0, 30.0, False))}, 1)
    # First look: the prior is unknown everywhere; the square of .8 * 72 = 58 pixels begins at
    # (40 - 29, 30 - 29) and is seen at 64 pixels, so the point is at 29 * 64 / 58 = 32.
    prior, clicks = guides[0][0]
    assert not prior.any()
    assert (clicks[31:33, 31:33] == 1).all() and (clicks > 0).sum() == 4
    # (60 - 11) * 64 / 58 = 54.07
    assert clicks[32, 54] == -1 and (clicks < 0).any()
    # Later looks are guided by what was found, and see the clicks again.
    assert guides[1][0, 0].any() and guides[1][0, 1].any()


def test_where_points_find_nothing_their_surroundings_are_the_object():
    model = clicked_segmenter()
    model.tracker.head.register_forward_hook(lambda _module, _arguments, logits: logits * 0 - 20)
    result = next(model.run([frame(0)], {0: points(3, (40.0, 30.0, True))}))
    mask = decode(result.objects[0].mask)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    disk = (columns - 40) ** 2 + (rows - 30) ** 2 <= 64
    assert np.array_equal(mask, disk)


def test_points_change_what_a_box_means():
    model = clicked_segmenter()
    box = (10.0, 10.0, 60.0, 60.0)
    alone = next(model.run([frame(0)], {0: Prompts((1,), (None,), (box,))}))
    pointed = next(model.run([frame(0)], {0: points(1, (20.0, 20.0, False), box=box)}))
    assert alone.objects[0].mask != pointed.objects[0].mask


def test_points_that_cannot_be_followed_are_refused():
    with pytest.raises(ValueError, match='object 2 is given by points'):
        next(tiny_segmenter().run([frame(0)], {0: points(2, (5.0, 5.0, True))}))
    with pytest.raises(ValueError, match='object 2 is new'):
        next(clicked_segmenter().run([frame(0)], {0: points(2, (5.0, 5.0, False))}))


def test_a_correction_joins_the_memory_and_leaves_the_first_frame():
    states = steps(tiny_segmenter(), {0: masks(_1=LARGE), 2: masks(_1=SMALL)}, 4)
    assert not states[1][0].corrections
    first, corrected, after = states[1][0], states[2][0], states[3][0]
    assert torch.equal(corrected.first[1], first.first[1])
    assert len(corrected.corrections) == 1 and not corrected.is_prompted
    # The corrected frame is remembered as it was given, and stays while the last frame goes on.
    assert torch.equal(corrected.corrections[0][1], corrected.last[1])
    assert after.corrections[0][1] is corrected.corrections[0][1]
    assert not torch.equal(after.last[1], corrected.last[1])


def test_restart_forgets_what_was_known():
    restart = Prompts((1,), (SMALL,), (None,), restart=True)
    states = steps(tiny_segmenter(), {0: masks(_1=LARGE), 2: restart}, 3)
    assert not states[2][0].corrections
    assert not torch.equal(states[2][0].first[1], states[1][0].first[1])


def test_the_number_of_remembered_frames_is_bounded():
    prompts = {index: masks(_1=LARGE) for index in range(MAX_CORRECTIONS + 4)}
    states = steps(tiny_segmenter(), prompts, len(prompts))
    assert len(states[-1][0].corrections) == MAX_CORRECTIONS
    # The newest stay: the frame before last is the last but one correction.
    assert states[-1][0].corrections[-2][1] is states[-2][0].corrections[-1][1]


def test_memories_of_objects_with_different_numbers_of_them_do_not_mix():
    """A place that an object does not need has weight 0; see also the head's own test."""
    model = tiny_segmenter()
    states = steps(model, {0: masks(_1=LARGE, _2=SMALL), 1: masks(_1=LARGE)}, 3)[-1]
    memories, weights = gather_memories(states)
    assert len(memories) == 3 and weights.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert torch.equal(memories[0][1][0], states[0].first[1])
    assert torch.equal(memories[2][1][0], states[0].corrections[0][1])


def test_points_correct_the_mask_of_their_frame():
    model, priors = clicked_segmenter(), []
    start = model.tracker.start

    def watched(image, objects):
        priors.append(objects)
        return start(image, objects)

    model.tracker.start = watched
    prompts = {0: masks(_1=LARGE), 1: points(1, (30.0, 60.0, True), (12.0, 12.0, False))}
    states = steps(model, prompts, 2)
    plain = steps(clicked_segmenter(), {0: masks(_1=LARGE)}, 2)
    # The prior is what propagation alone finds in this frame.
    given = priors[1].mask_priors[0]
    expected = plain[1][0].guide
    assert torch.equal(given > 0, expected > 0)
    assert len(states[1][0].corrections) == 1
    assert not torch.equal(states[1][0].guide, plain[1][0].guide)


def test_a_step_with_points_never_changes_the_state():
    model = clicked_segmenter()
    state = steps(model, {0: masks(_1=LARGE)}, 2)[-1]
    before = [state[0].guide.clone(), state[0].first[1].clone(), state[0].last[1].clone()]
    prompts = points(1, (30.0, 60.0, True))
    with torch.no_grad():
        first, second = (model.step(frame(2), state, prompts)[1] for _ in range(2))
    assert first == second and not state[0].corrections
    for old, new in zip(before, [state[0].guide, state[0].first[1], state[0].last[1]], strict=True):
        assert torch.equal(old, new)


def test_disks_and_boxes_of_points():
    given = torch.tensor([[4.0, 3.0, 1.0], [9.0, 9.0, -1.0], [0.0, 0.0, 0.0]])
    prior = disks_at_points(given, torch.zeros(8, 10), 1.0)
    # The four pixels whose centers are at most 1 from (4, 3).
    assert (prior[2:4, 3:5] == 1).all() and (prior > 0).sum() == 4 and prior.min() == -1
    box = box_with_points(torch.tensor([5.0, 5.0, 7.0, 8.0]), given)
    assert box.tolist() == [4, 3, 9, 9]
