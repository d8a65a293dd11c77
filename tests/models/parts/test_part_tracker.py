"""PartTracker: parts follow what they were cut from, lost ones are gone, and all that every tracker
must hold to.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_parts import HEIGHT, SIDE, WIDTH, pixel_parts, scene, texture, tiny_parts
from tiny_segmenter import clip_sample, tiny_segmenter, tiny_settings

from mmvos.models import PromptedSegmenter
from mmvos.models.masktrack.state import LastLook
from mmvos.models.parts import tracker
from mmvos.registry import MODELS
from mmvos.structures import Frame, Prompts
from mmvos.structures.rle import decode


@pytest.fixture(scope='module')
def tiny() -> PromptedSegmenter:
    return tiny_parts()


@pytest.fixture(scope='module')
def pixels() -> PromptedSegmenter:
    return pixel_parts(attention=1.0)


def told(masks: dict[int, np.ndarray]) -> Prompts:
    return Prompts(tuple(masks), tuple(masks.values()), (None,) * len(masks))


@torch.no_grad()
def steps(
    model: PromptedSegmenter,
    scenes: list[tuple[Frame, dict[int, np.ndarray]]],
    oracle: bool = False,
) -> tuple[list, list]:
    """States and results; with ``oracle`` the propagator finds the true masks, whatever it is
    guided by.
    """
    segment = model.tracker.propagator._segment
    state, states, results = model.init_state(), [], []
    try:
        for index, (frame, masks) in enumerate(scenes):
            if oracle:
                truth = torch.from_numpy(np.stack(list(masks.values()))).float()
                model.tracker.propagator._segment = lambda *a, truth=truth: (
                    truth,
                    *segment(*a)[1:],
                )
            state, result = model.step(frame, state, told(masks) if index == 0 else None)
            states.append(state)
            results.append(result)
    finally:
        model.tracker.propagator._segment = segment
    return states, results


def guides_of(model: PromptedSegmenter, frame: Frame, state: Any) -> list[Any]:
    """The propagator's states, with what it would be guided by in a frame."""
    followed = model.tracker._follow(frame, state)
    return [
        model.tracker._attend(item.mask, parts) for item, parts in zip(state, followed, strict=True)
    ]


def masks_of(results: list) -> list[dict[int, np.ndarray]]:
    return [{item.id: decode(item.mask) for item in result.objects} for result in results]


@pytest.mark.parametrize('crop', [False, True], ids=['pyramid', 'windows'])
def test_parts_follow_a_moving_texture(crop):
    """About 5 and -3 pixels a frame, no whole cells: parts are within a third of a cell of where
    they should be.
    """
    model, moves = pixel_parts(crop, parts=6), [(0, 0), (-5, 3), (-9, 5), (-15, 7)]
    states, _ = steps(
        model,
        [scene(t, {1: (50 + x, 30 + y)}, ground=0.0) for t, (x, y) in enumerate(moves)],
        oracle=True,
    )
    begin, end = states[0][0].parts, states[-1][0].parts
    assert 4 <= len(end) <= len(begin) <= 6 and end.age == 3
    for state, move in zip(states, moves, strict=True):
        cells = state[0].parts.sides / 127 * 8
        assert ((state[0].parts.shifts - torch.tensor(move)).norm(dim=1) / cells).max() < 0.34
        assert state[0].frame is None  # nothing of a frame is kept beyond its commit


def test_the_guide_goes_where_the_parts_have_gone(pixels):
    first, second = scene(0, {1: (20, 20)}), scene(1, {1: (34, 29)})
    (state,), _ = steps(pixels, [first])
    look = LastLook(probabilities=torch.zeros(0), square=torch.zeros(0), cells=torch.zeros(0))
    state = tuple(replace(item, mask=replace(item.mask, look=look)) for item in state)
    with torch.no_grad():
        (guided,) = guides_of(pixels, second[0], state)
    # it is guided anew, and so computed
    assert guided.look is None
    guide, truth = guided.guide, second[1][1]
    found = guide.numpy() > 0
    # so does the square around the object
    assert guided.box.tolist() == pytest.approx([34, 29, 34 + SIDE, 29 + SIDE], abs=2)
    assert (found & truth).sum() / (found | truth).sum() > 0.85
    assert (first[1][1] & truth).sum() / (first[1][1] | truth).sum() < 0.4
    assert guide.min() >= -1 and guide.max() <= 1
    # where the object was, as far as parts see it, nobody claims it any more
    assert guide[20:25, 30:35].max() <= 0


def test_a_part_that_is_not_found_is_lost_for_good(pixels):
    """The left half of the object turns into something else, and later turns back."""
    place = {1: (40, 30)}
    hidden = scene(1, place)
    hidden[0].image[0, :, :, : 40 + SIDE // 2] = torch.from_numpy(texture(77))[
        :, :, : 40 + SIDE // 2
    ]
    strict = pixels.tracker.min_score_ratio
    pixels.tracker.min_score_ratio = 0.8
    try:
        states, _ = steps(pixels, [scene(0, place), hidden, scene(2, place)], oracle=True)
    finally:
        pixels.tracker.min_score_ratio = strict
    begin, middle, end = (state[0].parts for state in states)
    center = (begin.boxes[:, 0] + begin.boxes[:, 2]) / 2
    assert 0 < len(middle) < len(begin) and center.min() < 40 + SIDE / 2 - 8
    assert ((middle.boxes[:, 0] + middle.boxes[:, 2]) / 2).min() >= 40 + SIDE / 2 - 8
    kept = {tuple(box) for box in middle.boxes.tolist()}
    assert {tuple(box) for box in end.boxes.tolist()} <= kept


@pytest.mark.parametrize('resample', [0, 3])
def test_without_parts_an_object_is_propagated_plainly_and_sampled_again(resample):
    model = pixel_parts(min_score_ratio=0.9, resample=resample)
    place = {1: (40, 30)}
    gone = Frame(torch.from_numpy(texture(5))[None], scene(1, place)[0].meta), place
    scenes = [scene(0, place), (gone[0], scene(1, place)[1]), scene(2, place)]
    states, _ = steps(model, scenes[:1], oracle=True)
    with torch.no_grad():
        followed = model.tracker._follow(scenes[1][0], states[0])
        assert len(followed[0]) == 0
        assert (
            model.tracker._attend(states[0][0].mask, followed[0]) is states[0][0].mask
        )  # as it is
    states, _ = steps(model, scenes, oracle=True)
    # all lost: at once, from the mask that was found
    assert (len(states[1][0].parts) > 0) == (resample > 0)


def test_parts_are_sampled_anew_every_few_frames_from_masks_that_are_sure():
    model = pixel_parts(resample=2)
    scenes = [scene(t, {1: (40 + 2 * t, 30)}) for t in range(5)]
    states, _ = steps(model, scenes, oracle=True)
    assert [state[0].parts.age for state in states] == [0, 1, 0, 1, 0]
    assert torch.equal(states[2][0].parts.source_mask > 0.5, torch.from_numpy(scenes[2][1][1]))
    masks = torch.zeros(1, HEIGHT, WIDTH)
    masks[0, 30:70, 40:80] = 0.6
    with torch.no_grad():
        _, waiting = model.tracker.propagate(scenes[2][0], states[1])
        (unsure,) = model.tracker.commit(waiting, masks)
    assert unsure.parts.age == 2  # they are kept until a mask is sure


def test_parts_that_the_object_has_left_or_that_leave_the_frame_are_dropped(pixels):
    place = scene(0, {1: (40, 30)})
    (state,), _ = steps(pixels, [place], oracle=True)
    half = torch.zeros(1, HEIGHT, WIDTH)
    half[0, 30 : 30 + SIDE, 40:50] = 1
    with torch.no_grad():
        _, waiting = pixels.tracker.propagate(place[0], state)
        (committed,) = pixels.tracker.commit(waiting, half)
        (unseen,) = pixels.tracker.commit(waiting, torch.zeros(1, HEIGHT, WIDTH))
    assert 0 < len(committed.parts) < len(waiting[0].parts)
    assert (committed.parts.boxes[:, 0] < 50).all()
    assert len(unseen.parts) == len(waiting[0].parts)  # hidden, but its parts may still be found
    states, results = steps(
        pixels, [scene(t, {1: (40 - 9 * t, 30)}) for t in (0, 2, 4, 6, 8, 9, 10)], oracle=True
    )
    counts = [len(item[0].parts) for item in states]
    assert (
        counts[-1] == 0
        and counts == sorted(counts, reverse=True)
        and not results[-1].objects[0].score
    )


def test_attention_0_is_plain_propagation_bit_for_bit():
    scenes = [scene(t, {3: (10 + 3 * t, 40), 8: (70, 20 + 2 * t)}) for t in range(3)]
    model, plain = tiny_parts(attention=0.0, min_score_ratio=0.0), tiny_segmenter()
    plain.tracker.load_state_dict(model.tracker.propagator.state_dict())
    states, results = steps(model, scenes)
    assert all(len(item.parts) for item in states[1])
    state = plain.init_state()
    with torch.no_grad():
        for (frame, masks), ours, result in zip(scenes, states, results, strict=True):
            state, expected = plain.step(
                frame, state, told(masks) if frame.meta.index == 0 else None
            )
            assert result == expected
            assert all(torch.equal(a.mask.guide, b.guide) for a, b in zip(ours, state, strict=True))
    other, _ = steps(replaced(model, attention=0.9), scenes)
    # it does count where it is not 0
    assert not torch.equal(other[-1][0].mask.guide, states[-1][0].mask.guide)


def replaced(model: PromptedSegmenter, **settings: Any) -> PromptedSegmenter:
    for name, value in settings.items():
        setattr(model.tracker, name, value)
    return model


def test_all_parts_of_all_objects_are_one_batch_and_a_frame_has_one_pass(tiny):
    looks, passes = [], []
    look = tiny.tracker.matcher.features.encode_crops
    hook = tiny.tracker.matcher.features.backbone.register_forward_hook(
        lambda m, i, o: passes.append(len(i[0]))
    )
    tiny.tracker.matcher.features.encode_crops = lambda frame, windows, *rest: (
        looks.append(len(windows)) or look(frame, windows, *rest)
    )
    try:
        states, _ = steps(tiny, [scene(t, {1: (5, 5), 2: (60, 40)}) for t in range(3)])
    finally:
        hook.remove()
        del tiny.tracker.matcher.features.encode_crops
    counts = [sum(len(item.parts) for item in state) for state in states]
    assert passes == [1] * 3  # templates, their own places, and twice the next frame's
    assert (
        looks == [looks[0], looks[0], counts[0], counts[1]]
        and looks[0] >= counts[0] > tiny.tracker.parts
    )


def test_nothing_is_random_but_the_seed(tiny, monkeypatch):
    scenes = [scene(t, {1: (20 + 3 * t, 30)}) for t in range(3)]
    torch.manual_seed(1)
    np.random.seed(1)
    states, results = steps(tiny, scenes)
    torch.manual_seed(2)
    again, expected = steps(tiny, scenes)
    assert results == expected and same(states[-1], again[-1])
    monkeypatch.setattr(tracker, 'SAMPLING_SEED', 7)
    reseeded, _ = steps(tiny, scenes[:1])
    assert not torch.equal(reseeded[0][0].parts.boxes[:3], states[0][0].parts.boxes[:3])


def same(left: Any, right: Any) -> bool:
    """Whether two states hold the same, tensors compared by value."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if hasattr(left, '__dataclass_fields__'):
        return all(
            same(getattr(left, item.name), getattr(right, item.name)) for item in fields(left)
        )
    return left == right


def test_objects_may_come_in_any_order(pixels):
    places = {2: (8, 10), 5: (70, 40)}
    moves = [{i: (x + 4 * t, y + t) for i, (x, y) in places.items()} for t in range(3)]
    swapped = [{i: place[i] for i in (5, 2)} for place in moves]
    states, results = steps(pixels, [scene(t, place) for t, place in enumerate(moves)])
    others, expected = steps(pixels, [scene(t, place) for t, place in enumerate(swapped)])
    for mine, other in zip(states, others, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert a.id == b.id and torch.equal(a.parts.boxes, b.parts.boxes)
            assert torch.allclose(a.parts.shifts, b.parts.shifts, atol=1e-3)
    for one, two in zip(masks_of(results), masks_of(expected), strict=True):
        assert one.keys() == two.keys() and all((one[i] != two[i]).mean() < 1e-3 for i in one)


def test_a_step_can_be_replayed(tiny):
    (first, masks), (second, _) = (scene(t, {1: (20 + 3 * t, 30), 2: (70, 40)}) for t in range(2))
    with torch.no_grad():
        state, _ = tiny.step(first, tiny.init_state(), told(masks))
        copies = [
            replace(
                item.parts,
                shifts=item.parts.shifts.clone(),
                source_mask=item.parts.source_mask.clone(),
            )
            for item in state
        ]
        one = tiny.step(second, state)
        two = tiny.step(second, state)
    assert same(one[0], two[0]) and one[1] == two[1]
    assert all(same(item.parts, copy) for item, copy in zip(state, copies, strict=True))


def test_no_object_one_frame_and_a_late_object(tiny):
    frame, masks = scene(0, {4: (20, 30)})
    with torch.no_grad():
        state, result = tiny.step(frame, tiny.init_state())
        assert state == () and not result.objects
        state, result = tiny.step(frame, state, told(masks))
        assert np.array_equal(decode(result.objects[0].mask), masks[4]) and len(state[0].parts) > 0
        second, late = scene(1, {1: (70, 10)})
        state, result = tiny.step(second, state, told(late))
    assert [item.id for item in state] == [1, 4] and [item.parts.age for item in state] == [0, 1]


def test_a_box_gets_its_parts_from_the_mask_that_is_found(tiny):
    frame, _ = scene(0, {1: (20, 30)})
    with torch.no_grad():
        state, result = tiny.step(
            frame, tiny.init_state(), Prompts((1,), (None,), ((20.0, 30.0, 64.0, 74.0),))
        )
    found = decode(result.objects[0].mask)
    assert (
        torch.equal(state[0].parts.source_mask > 0.5, torch.from_numpy(found))
        and len(state[0].parts) > 0
    )


def test_training_is_the_propagators(tiny):
    model = tiny.train()
    assert not model.tracker.matcher.training and model.tracker.propagator.training
    masks = np.stack([scene(t, {1: (20 + 3 * t, 30)})[1][1] for t in range(2)])[:, None]
    sample = clip_sample(masks, masks * 2.0 - 1, np.array([[0], [1]]))
    inputs = torch.stack([scene(t, {1: (20 + 3 * t, 30)})[0].image[0] for t in range(2)])[None]
    torch.manual_seed(0)
    losses = model.loss(inputs, [sample])
    torch.manual_seed(0)
    expected = model.tracker.propagator.loss(inputs, [sample])
    assert losses.keys() == expected.keys() and all(
        torch.equal(losses[name], expected[name]) for name in losses
    )
    sum(losses.values()).backward()
    trained = {
        name.split('.')[1] for name, weight in model.named_parameters() if weight.grad is not None
    }
    assert trained == {'propagator'}
    assert not any(weight.requires_grad for weight in model.tracker.matcher.parameters())
    model.eval().zero_grad()


@pytest.mark.parametrize('context', [2.0, 3.0])
def test_a_template_shows_so_many_times_its_part(context):
    (state,), _ = steps(pixel_parts(context=context), [scene(0, {1: (40, 30)})])
    parts = state[0].parts
    sides = parts.boxes[:, 2] - parts.boxes[:, 0]
    assert len(parts) and torch.equal(parts.sides, (context * sides).long())


def displace(model: PromptedSegmenter, offsets: torch.Tensor) -> None:
    """Has the matcher find part q ``offsets[q]`` frame pixels beside where it is."""
    find = model.tracker._match

    def displaced(*arguments):
        found = find(*arguments)
        return replace(found, places=found.places + offsets[: len(found.places)])

    model.tracker._match = displaced


def test_what_is_not_found_where_it_is_cut_out_is_no_part():
    """Every second part is made to be found 11 pixels away in the very frame it is from."""
    counts = []
    for offset in (0.0, 11.0):
        model = pixel_parts()
        displace(model, torch.tensor([[0.0, 0.0], [offset, offset]]).repeat(99, 1))
        states, _ = steps(model, [scene(0, {1: (40, 30)})])
        counts.append(len(states[0][0].parts))
    assert counts == [model.tracker.parts, model.tracker.parts // 2]


@pytest.mark.parametrize(('cells', 'lost'), [(1.3, False), (1.7, True)])
def test_a_part_may_move_a_cell_and_a_half_otherwise_than_its_neighbors(cells, lost):
    """The object stands still, so that its parts' median deviation is 0, and part 3 is found beside
    its place: by 1.3 cells it is kept, by 1.7 it is lost; with a tolerance of 2 cells it is kept.
    """
    place = {1: (40, 30)}
    tolerant = pixel_parts(motion_tolerance=2.0)
    for model, expected in ((pixel_parts(), lost), (tolerant, False)):
        (state,), _ = steps(model, [scene(0, place)])
        begin = state[0].parts
        # a cell is 8 of the 127 pixels of a template's window
        offsets = torch.zeros(len(begin), 2)
        offsets[3, 0] = cells * float(begin.sides[3]) * 8 / 127
        displace(model, offsets)
        with torch.no_grad():
            (followed,) = model.tracker._follow(scene(1, place)[0], state)
        boxes = followed.boxes.tolist()
        assert len(boxes) == len(begin) - expected
        assert (begin.boxes[3].tolist() in boxes) != expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_on_a_gpu_parts_are_where_they_are_on_a_cpu():
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    scenes, model = (
        [scene(t, {1: (20 + 3 * t, 30), 2: (70, 40)}) for t in range(3)],
        tiny_parts(resample=2),
    )
    expected, _ = steps(model, scenes)
    found, _ = steps(
        model.cuda(), [(Frame(frame.image.cuda(), frame.meta), masks) for frame, masks in scenes]
    )
    for a, b in zip(expected[1], found[1], strict=True):
        assert torch.equal(a.parts.boxes, b.parts.boxes.cpu())
        assert torch.allclose(a.parts.shifts, b.parts.shifts.cpu(), atol=0.05)


def test_wrong_arguments_and_frames_are_named(tiny):
    for wrong in (dict(parts=0), dict(attention=1.5), dict(resample=-1)):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            tiny_parts(**wrong)
    (state,), _ = steps(tiny, [scene(0, {1: (20, 30)})])
    frame = scene(1, {1: (20, 30)})[0]
    small = Frame(frame.image[:, :, :64], replace(frame.meta, network_shape=(64, WIDTH)))
    with pytest.raises(ValueError, match=r'frame 1 is 128x64, .*128x96'):
        tiny.tracker.propagate(small, state)


def test_no_object_is_carried_by_the_motion_of_the_picture() -> None:
    """Its guide is moved to where its parts are, every frame."""
    settings = tiny_settings(computed_objects=2)['tracker']
    assert MODELS.build(settings).computed_objects == 2
    assert tiny_parts(propagator=settings).tracker.propagator.computed_objects is None
