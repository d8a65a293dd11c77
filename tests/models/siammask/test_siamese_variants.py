"""What holds for every kind of SiameseTracker: refined masks, plain ones, a vote, features of a
pyramid.

Objects do not depend on each other; scores are the matcher's own; boxes at odd places, objects that
leave and short videos give defined results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_siamese import HEIGHT, VARIANTS, WIDTH, frame_for, tiny_variant

from mmvos.models import PromptedSegmenter
from mmvos.structures import FrameResult, Prompts
from mmvos.structures.rle import decode

Box = tuple[float, float, float, float]
BOXES: dict[int, Box] = {
    1: (20.0, 12.5, 52.0, 40.0),
    4: (60.25, 30.0, 90.0, 60.0),
    7: (5.0, 40.0, 25.0, 70.0),
}


@pytest.fixture(scope='module', params=VARIANTS)
def model(request) -> PromptedSegmenter:
    return tiny_variant(request.param)


def boxed(*ids: int) -> Prompts:
    return Prompts(ids, (None,) * len(ids), tuple(BOXES[i] for i in ids))


def follow(
    model: PromptedSegmenter, prompts: Prompts, frames: int
) -> list[tuple[tuple[Any, ...], FrameResult]]:
    """State and result of each frame."""
    state, found = model.init_state(), []
    with torch.no_grad():
        for t in range(frames):
            state, result = model.step(frame_for(model, t), state, prompts if t == 0 else None)
            found.append((state, result))
    return found


def assert_same(first: Any, second: Any) -> None:
    assert first.id == second.id
    for name in ('center', 'size', 'score', 'region'):
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=1e-4, atol=1e-4
        )


def assert_defined(state: Any, result: FrameResult) -> None:
    (x, y), (width, height) = state.center, state.size
    assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT and 10 <= width <= WIDTH and 10 <= height <= HEIGHT
    assert np.isfinite(state.region).all() and 0 <= state.score <= 1
    (item,) = result.objects
    mask = decode(item.mask)
    assert mask.shape == (HEIGHT, WIDTH) and item.score == (state.score if mask.any() else 0)


def test_one_among_many_is_the_same_as_alone_and_the_order_does_not_matter(model):
    together, permuted = follow(model, boxed(1, 4, 7), 3), follow(model, boxed(7, 1, 4), 3)
    for (first, result), (second, other) in zip(together, permuted, strict=True):
        assert (
            [item.id for item in result.objects] == [item.id for item in other.objects] == [1, 4, 7]
        )
        for one, two in zip(first, second, strict=True):
            assert_same(one, two)
        np.testing.assert_array_equal(result.label_map(), other.label_map())
    for k, number in enumerate(BOXES):
        for (among, _), (alone, _) in zip(together, follow(model, boxed(number), 3), strict=True):
            assert_same(among[k], alone[0])


def test_the_score_is_that_of_the_best_anchor(model, monkeypatch):
    """Though objects are merged by the hard rule, after which every pixel of a mask is certain."""
    compare = model.tracker._compare

    def lost(*inputs):
        scores, *others = compare(*inputs)
        low, high = scores.amin(), scores.amax()
        return 0.02 + 0.01 * (scores - low) / (high - low), *others

    found = follow(model, boxed(1, 4), 2)
    assert [item.score for item in found[0][0]] == [1, 1]  # as given
    for state, item in zip(*(found[1][0], found[1][1].objects), strict=True):
        assert (
            item.score == (state.score if decode(item.mask).any() else 0) and 0 < state.score <= 1
        )
    monkeypatch.setattr(model.tracker, '_compare', lost)
    state, result = follow(model, boxed(1, 4), 2)[1]
    assert all(0.02 <= item.score <= 0.03 for item in state)
    assert all(item.score <= 0.03 for item in result.objects)


def test_an_object_below_the_lost_score_has_no_mask_and_stays(model, monkeypatch):
    """In frame 1 object 1 scores .3 and object 4 .6, in frame 2 both .6."""
    compare, factors = model.tracker._compare, {0: (1.0, 1.0), 1: (0.3, 0.6), 2: (0.6, 0.6)}
    monkeypatch.setattr(
        model.tracker,
        '_compare',
        lambda *inputs: (
            torch.tensor(factors[time], dtype=torch.float64)[:, None].expand(-1, 5 * 625),
            *compare(*inputs)[1:],
        ),
    )
    found = {}
    for lost_score in (0.0, 0.5):
        monkeypatch.setattr(model.tracker, 'lost_score', lost_score)
        state, found[lost_score] = model.init_state(), []
        with torch.no_grad():
            for time in factors:
                state, result = model.step(
                    frame_for(model, time), state, None if time else boxed(1, 4)
                )
                found[lost_score].append((state, result.objects[0]))
    (begin, _), (lost, item), (back, _) = found[0.5]
    assert (lost[0].center, lost[0].size, lost[0].region) == (
        begin[0].center,
        begin[0].size,
        begin[0].region,
    )
    assert lost[0].score == 0.3 and item.score == 0 and not decode(item.mask).any()
    assert_same(lost[1], found[0.0][1][0][1])
    assert back[0].score == 0.6 and back[0].center != lost[0].center


def test_motion_moves_the_search_window_ahead(model, monkeypatch):
    """With the window ahead by the whole last move the frame is searched around there."""
    looked: list[tuple[int, ...]] = []
    look = model.tracker.features.encode_crops
    monkeypatch.setattr(
        model.tracker.features,
        'encode_crops',
        lambda frame, windows, colors, size: (
            looked.append(windows[0]),
            look(frame, windows, colors, size),
        )[1],
    )
    monkeypatch.setattr(model.tracker, 'motion', 1.0)
    states = [state[0] for state, _ in follow(model, boxed(1), 3)]
    # template, its own frame, and two more
    assert len(looked) == 4 and states[0].velocity == (0, 0)
    first, second = states[0].center, states[1].center
    assert states[1].velocity == (second[0] - first[0], second[1] - first[1]) != (0, 0)
    middle = [corner + looked[3][2] / 2 for corner in looked[3][:2]]
    expected = [min(max(2 * b - a, 0), side) for a, b, side in zip(first, second, (WIDTH, HEIGHT))]
    assert middle == pytest.approx(expected, abs=1.01)  # windows lie on whole pixels


@pytest.mark.parametrize(
    'box', [(96.0, 0.0, 120.0, 20.0), (-30.0, 5.0, 0.0, 30.0), (10.0, -9.0, 20.0, -1.0)]
)
def test_a_box_outside_the_frame_is_refused(model, box):
    with pytest.raises(ValueError, match=r'object 3 lies outside .*96x72'):
        follow(model, Prompts((3,), (None,), (box,)), 1)


@pytest.mark.parametrize(
    'box', [(20.0, 10.0, 20.0, 30.0), (20.0, 10.0, 40.0, 10.0), (20.0, 10.0, 10.0, 30.0)]
)
def test_a_box_without_area_is_refused(box):
    with pytest.raises(ValueError, match=r'object 3 has no area'):
        Prompts((3,), (None,), (box,))


def test_a_box_that_reaches_out_of_the_frame_is_followed_as_given(model):
    """Its middle may even lie outside; the published tracker keeps it so until its first step."""
    inside, outside = (-20.0, 10.0, 30.0, 50.0), (80.0, 60.0, 130.0, 100.0)
    (state, _), *later = follow(model, Prompts((1, 2), (None, None), (inside, outside)), 2)
    assert [item.center for item in state] == [(5, 30), (105, 80)]
    assert [item.size for item in state] == [(50, 40), (50, 40)]
    assert all(0 <= item.score <= 1 for _, result in later for item in result.objects)


def test_of_an_enormous_box_the_nearest_part_is_taken(model):
    (state, _), _ = follow(model, Prompts((1,), (None,), ((-1e9, 0.0, 50.0, 1e9),)), 2)
    assert state[0].center == ((50 - WIDTH) / 2, HEIGHT) and state[0].size == (
        50 + WIDTH,
        2 * HEIGHT,
    )


@pytest.mark.parametrize(
    'box',
    [(0.0, 0.0, 1.0, 1.0), (95.5, 71.5, 96.0, 72.0), (40.0, 0.0, 40.2, 72.0)],
    ids=['pixel', 'half a pixel in the corner', 'line'],
)
def test_extreme_boxes_give_defined_results(model, box):
    for state, result in follow(model, Prompts((1,), (None,), (box,)), 2)[1:]:
        assert_defined(state[0], result)


def test_a_video_of_one_frame(model):
    ((state, result),) = follow(model, boxed(1, 4), 1)
    assert [item.id for item in result.objects] == [1, 4] and result.frame_index == 0
    assert [(item.center, item.size) for item in state] == [
        ((36, 26.25), (32, 27.5)),
        ((75.125, 45), (29.75, 30)),
    ]
    assert [len(result.objects) for _, result in follow(model, Prompts((), (), ()), 1)] == [0]


def test_an_object_that_leaves_for_fifty_frames(model):
    """Nothing is seen but grey: the state stays where an object can come back to, and is no larger
    than at the beginning.
    """
    state = model.init_state()
    grey = frame_for(model, 0).image * 0 + 0.5
    with torch.no_grad():
        for t in range(53):
            frame = frame_for(model, t)
            if 1 <= t <= 50:
                frame.image.copy_(grey)
            state, result = model.step(frame, state, boxed(4) if t == 0 else None)
            if t == 0:
                kernels = state[0].kernels
            else:
                assert_defined(state[0], result)
    assert result.frame_index == 52 and torch.equal(state[0].kernels, kernels)
