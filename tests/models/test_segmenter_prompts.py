"""Prompts of odd forms and places, and what becomes of them in the frame they belong to."""

import numpy as np
import pytest
import torch
from tiny_segmenter import HEIGHT, WIDTH, frame, square_mask, tiny_segmenter

from mmvos.models.prompted_tracking import prompted_objects, soft_aggregate
from mmvos.optimize import optimize
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


@pytest.mark.parametrize(
    'corners', [(95.6, 10.0, 96.0, 20.0), (10.0, 71.6, 20.0, 72.0), (10.2, 10.2, 10.4, 10.4)]
)
def test_a_box_of_less_than_a_pixel_is_a_pixel(corners):
    model, seen = tiny_segmenter(), []
    segment = model.tracker._segment
    model.tracker._segment = lambda *arguments, **options: (
        seen.append(arguments[1]) or segment(*arguments, **options)
    )
    next(model.run([frame(0)], {0: box(1, *corners)}))
    assert (seen[0] > 0).any() and (seen[0] > 0).sum() <= 10


def test_a_box_reaches_out_of_the_frame_by_the_frames_size_at_most():
    """What a tracker cuts out lies around the middle of the whole box; network pixels, scale .5."""
    found = prompted_objects(box(1, -30.0, -500.0, 100.0, 900.0), half_size())
    # 192 x 144 original pixels: y from -144 to 288
    assert found.boxes == ((-15.0, -72.0, 50.0, 144.0),)
    assert prompted_objects(masks(square_mask(10, 20)), frame(0)).boxes == ((10, 20, 34, 44),)


def test_a_given_mask_is_the_answer_of_its_frame_also_where_the_network_sees_less():
    mask = np.random.default_rng(0).random((2 * HEIGHT, 2 * WIDTH)) < 0.3
    mask[:, :40] = False
    (found,) = first(masks(mask), half_size())
    assert np.array_equal(decode(found.mask), mask)


def test_a_pixel_that_the_network_hardly_sees_is_followed():
    pixel = np.zeros((2 * HEIGHT, 2 * WIDTH), dtype=bool)
    pixel[51, 77] = True
    (guide,) = guides_of(masks(pixel), half_size())
    assert (
        guide.argmax() == 25 * WIDTH + 38
        and guide.max() > 0.9
        and first(masks(pixel), half_size())[0].box == (77, 51, 78, 52)
    )


def test_a_mask_of_any_memory_layout_is_taken():
    (found,) = first(masks(square_mask(10, 10)[::-1, ::-1]))
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


def test_equally_certain_objects_go_by_the_rule_that_is_chosen():
    tie = torch.full((2, 1, 1), 0.9)
    winners = {
        rule: tiny_segmenter(merge=rule)._merge(tie).flatten().tolist()
        for rule in ('hard', 'hard-first')
    }
    assert winners == {'hard': [0, 1], 'hard-first': [1, 0]}
    with pytest.raises(ValueError, match=r"merge must be .*, not 'first'"):
        tiny_segmenter(merge='first')


def head(in_channels=(64, 64, 128, 256), **settings):
    return (
        dict(
            type='mmvos.PropagationHead',
            in_channels=in_channels,
            channels=(8, 8, 16, 16),
        )
        | settings
    )


STEMLESS = dict(
    type='mmvos.GuidedResNet', depth=18, num_stages=4, out_indices=(0, 1, 2, 3), norm_eval=True
)
PYRAMID = dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=16, num_outs=4)


@pytest.mark.parametrize('merge', ['soft', 'hard'])
@pytest.mark.parametrize('mode', ['crop', 'roi'])
@pytest.mark.parametrize(
    'parts',
    [
        dict(head=head()),
        dict(head=head(reference=False)),
        dict(
            backbone=STEMLESS,
            head=head((64, 128, 256, 512), reference=False),
            strides=(4, 8, 16, 32),
        ),
        dict(backbone=STEMLESS, neck=PYRAMID, head=head((16, 16, 16, 16)), strides=(4, 8, 16, 32)),
    ],
    ids=['plain', 'without memory', 'without stem', 'with neck'],
)
def test_prompts_of_all_kinds_in_several_frames(parts, mode, merge):
    """Objects in corners, late boxes, corrections; and in bfloat16 nearly the same masks."""
    model = tiny_segmenter(merge=merge, mode=mode, box_passes=1, **parts)
    prompts = {
        0: Prompts((1, 9), (square_mask(0, 0), square_mask(84, 60, 12)), (None, None)),
        1: box(2, 10.3, 10.2, 40.7, 50.1),
        2: Prompts((5, 1), (None, square_mask(90, 3, 1)), ((60.0, 60.0, 96.0, 72.0), None)),
    }
    frames = [frame(index) for index in range(4)]
    plain = list(model.run(frames, prompts))
    assert [[item.id for item in result.objects] for result in plain] == [
        [1, 9],
        [1, 2, 9],
        [1, 2, 5, 9],
        [1, 2, 5, 9],
    ]
    assert decode(plain[2].objects[0].mask).sum() == 1
    assert all(
        sum(decode(item.mask).astype(int) for item in result.objects).max() == 1 for result in plain
    )
    assert all(0 <= item.score <= 1 for result in plain for item in result.objects)
    optimize(model, torch.bfloat16)
    reduced = list(model.run([frame(index) for index in range(4)], prompts))
    assert (
        np.mean(
            [(a.label_map() != b.label_map()).mean() for a, b in zip(plain, reduced, strict=True)]
        )
        < 0.05
    )
