"""Prompts of odd forms and places, and what becomes of them in the frame they belong to."""
import numpy as np
import pytest
import torch
from tiny_segmenter import HEIGHT, WIDTH, frame, square_mask, tiny_segmenter

from mmvos.ops.merge import soft_aggregate
from mmvos.structures import Frame, FrameMeta, Prompts
from mmvos.structures.rle import decode


def masks(*given):
    return Prompts(tuple(range(1, len(given) + 1)), given, (None,) * len(given))


def box(object_id, *corners):
    return Prompts((object_id,), (None,), (corners,))


def first(prompts, image=None):
    return next(tiny_segmenter().run([image or frame(0)], {0: prompts})).objects


def half_size():
    """A frame whose network pixels are two original pixels wide."""
    return Frame(frame(0).image, FrameMeta(0, (2 * HEIGHT, 2 * WIDTH), (HEIGHT, WIDTH), (0.5, 0.5)))


def guides_of(prompts, image):
    with torch.no_grad():
        model = tiny_segmenter()
        state, _ = model.step(image, model.init_state(), prompts)
    return [item.guide for item in state]


@pytest.mark.parametrize('corners', [(95.6, 10.0, 96.0, 20.0), (10.0, 71.6, 20.0, 72.0), (10.2, 10.2, 10.4, 10.4)])
def test_a_box_of_less_than_a_pixel_is_a_pixel(corners):
    model, seen = tiny_segmenter(), []
    segment = model.tracker._segment
    model.tracker._segment = lambda *arguments: seen.append(arguments[1]) or segment(*arguments)
    next(model.run([frame(0)], {0: box(1, *corners)}))
    assert (seen[0] > 0).any() and (seen[0] > 0).sum() <= 10


def test_a_given_mask_is_the_answer_of_its_frame_also_where_the_network_sees_less():
    mask = np.random.default_rng(0).random((2 * HEIGHT, 2 * WIDTH)) < 0.3
    mask[:, :40] = False
    found, = first(masks(mask), half_size())
    assert np.array_equal(decode(found.mask), mask)


def test_a_pixel_that_the_network_hardly_sees_is_followed():
    pixel = np.zeros((2 * HEIGHT, 2 * WIDTH), dtype=bool)
    pixel[51, 77] = True
    guide, = guides_of(masks(pixel), half_size())
    assert guide.argmax() == 25 * WIDTH + 38 and guide.max() > 0.9 and first(masks(pixel), half_size())[0].box == (77, 51, 78, 52)


def test_a_mask_of_any_memory_layout_is_taken():
    found, = first(masks(square_mask(10, 10)[::-1, ::-1]))
    assert np.array_equal(decode(found.mask), square_mask(10, 10)[::-1, ::-1])


def test_where_given_masks_overlap_the_lower_id_has_the_pixels():
    one, two = first(masks(square_mask(10, 10), square_mask(20, 20)))
    assert np.array_equal(decode(one.mask), square_mask(10, 10))
    assert np.array_equal(decode(two.mask), square_mask(20, 20) & ~square_mask(10, 10))


def test_a_late_box_is_merged_with_the_others_once():
    """Merging is no projection: what is merged twice is surer than it should be."""
    model, found = tiny_segmenter(), []
    propagate, start = model.tracker.propagate, model.tracker.start
    model.tracker.propagate = lambda *arguments: found.append(propagate(*arguments)) or found[-1]
    model.tracker.start = lambda *arguments: found.append(start(*arguments)) or found[-1]
    model.tracker.commit = lambda states, merged: found.append(merged) or states
    commit = type(model.tracker).commit
    with torch.no_grad():
        state, _ = model.step(frame(0), (), masks(square_mask(10, 10)))
        state = commit(model.tracker, state, found.pop())
        found.clear()
        model.step(frame(1), state, box(2, 50.0, 30.0, 80.0, 60.0))
    (known, _), (given, _), merged = found
    torch.testing.assert_close(merged, soft_aggregate(torch.cat([known, given]))[0])


def test_a_late_box_is_merged_by_the_hard_rule_too():
    model = tiny_segmenter(merge='hard')
    with torch.no_grad():
        state, _ = model.step(frame(0), model.init_state(), masks(square_mask(10, 10)))
        state, _ = model.step(frame(1), state, box(2, 20.0, 20.0, 50.0, 60.0))
    assert all(set(item.guide.unique().tolist()) <= {-1.0, 1.0} for item in state)
