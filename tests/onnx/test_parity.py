"""The shipped models as ONNX graphs find what they find in torch."""

from __future__ import annotations

from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from moving_squares import BLUE_BOX, picture, red_mask

from mmvos.apis import VideoInferencer
from mmvos.apis.engine_choice import load_graphs
from mmvos.onnx.engines import ENGINES
from mmvos.onnx.segmenter import OnnxSegmenter
from mmvos.structures import FrameResult, Prompts
from mmvos.structures.rle import decode


@pytest.fixture(scope='module')
def both():
    """The model in torch and in onnxruntime."""
    pytest.importorskip('onnxruntime')
    return VideoInferencer('masktrack', device='cpu'), VideoInferencer(OnnxSegmenter(threads=1))


def assert_same(one: FrameResult, other: FrameResult) -> None:
    """Ids are equal, masks but for pixels on the edge, scores to a thousandth."""
    assert [item.id for item in one.objects] == [item.id for item in other.objects]
    for a, b in zip(one.objects, other.objects, strict=True):
        mask, found = decode(a.mask), decode(b.mask)
        union = np.count_nonzero(mask | found)
        assert np.count_nonzero(mask & found) >= 0.999 * union - 1
        assert a.score == pytest.approx(b.score, abs=1e-3)


def test_masks_boxes_and_corrections(both):
    prompts = {
        0: Prompts((1, 2), (red_mask(), None), (None, BLUE_BOX)),
        2: {2: {'points': [(112, 82, 1), (5, 5, 0)]}},
        3: {1: {'mask': red_mask()}},
    }
    frames = [picture(index) for index in range(5)]
    results = [list(inferencer.infer(iter(frames), prompts)) for inferencer in both]
    assert len(results[0]) == len(results[1]) == 5
    for one, other in zip(*results, strict=True):
        assert len(one.objects) == 2
        assert_same(one, other)
    # the objects are followed, not lost
    blue = decode(results[1][-1].objects[1].mask)
    assert np.count_nonzero(blue[64:104, 95:130]) > 100


def test_frame_by_frame_with_objects_added_and_removed(both):
    for inferencer in both:
        inferencer.start({0: red_mask()})
    for index in range(4):
        if index == 1:
            for inferencer in both:
                assert inferencer.add({0: {2: {'points': [(112, 80, 1)]}}}) == (2,)
        if index == 3:
            for inferencer in both:
                inferencer.remove(1)
        one, other = (inferencer.step(picture(index)) for inferencer in both)
        assert_same(one, other)
    assert [item.id for item in other.objects] == [2]


def test_large_pictures_are_resized_alike(both):
    frames = [np.repeat(np.repeat(picture(index), 5, 0), 5, 1) for index in range(2)]
    box = tuple(5 * side for side in BLUE_BOX)
    results = [list(inferencer.infer(iter(frames), [box])) for inferencer in both]
    for one, other in zip(*results, strict=True):
        assert one.shape == (600, 800)
        assert_same(one, other)


def check_step_leaves_state(model: OnnxSegmenter, prompts: Prompts, name: str) -> None:
    """A step taken twice from one state answers twice the same, and the array ``name`` stays."""
    frames = [model.prepare(index, picture(index)) for index in range(2)]
    state, _ = model.step(frames[0], model.init_state(), prompts)
    before = getattr(state[0], name).copy()
    answers = [model.step(frames[1], state)[1] for _ in range(2)]
    assert answers[0] == answers[1]
    assert np.array_equal(getattr(state[0], name), before)


def test_a_step_leaves_its_state_as_it_was(both):
    prompts = Prompts((1,), (red_mask(),), (None,))
    check_step_leaves_state(both[1].model, prompts, 'guide')


@pytest.fixture(scope='module', params=['siammask', 's2iammask'])
def siamese(request):
    """A siamese system in torch, and in the engines that are installed."""
    pytest.importorskip('onnxruntime')
    system = request.param
    engines = [engine for engine in ENGINES if find_spec(engine)]
    return [
        VideoInferencer(system, device='cpu', engine='torch'),
        *(VideoInferencer(load_graphs(system, engine)) for engine in engines),
    ]


def test_siamese_boxes_masks_and_corrections(siamese):
    """In the last frame the red square is given anew, in a box that reaches out of the frame."""
    prompts = {
        0: Prompts((1, 2), (red_mask(), None), (None, BLUE_BOX)),
        3: {1: {'box': (-10, 25, 72, 75)}},
    }
    frames = [picture(index) for index in range(5)]
    expected, *others = (list(model.infer(iter(frames), prompts)) for model in siamese)
    for results in others:
        for one, other in zip(expected, results, strict=True):
            assert len(one.objects) == 2
            assert_same(one, other)
            for a, b in zip(one.objects, other.objects, strict=True):
                # the rotated box, of frames in which it was looked for
                np.testing.assert_allclose(a.region, b.region, atol=0.1)
    # the object is followed, not lost
    blue = decode(others[0][2].objects[1].mask)
    truth = np.zeros_like(blue)
    truth[62:102, 95:130] = True
    assert np.count_nonzero(blue & truth) > 0.5 * np.count_nonzero(blue | truth)


def test_siamese_frame_by_frame_with_objects_added_and_removed(siamese):
    for model in siamese:
        model.start([BLUE_BOX])
    for index in range(4):
        if index == 1:
            for model in siamese:
                assert model.add({0: {7: {'mask': red_mask()}}}) == (7,)
        if index == 3:
            for model in siamese:
                model.remove(1)
        expected, *others = (model.step(picture(index)) for model in siamese)
        for result in others:
            assert_same(expected, result)
    assert [item.id for item in expected.objects] == [7]


@pytest.mark.parametrize('direction', ['backward', 'both'])
def test_siamese_backwards_in_large_frames(siamese, tmp_path, direction):
    """Frames keep their own size, and objects are given in the middle of the clip."""
    for index in range(4):
        large = np.repeat(np.repeat(picture(index), 5, 0), 5, 1)
        cv2.imwrite(str(tmp_path / f'{index}.png'), large)
    box = tuple(5 * side for side in BLUE_BOX)
    prompts = {2: {1: {'box': box}}}
    expected, *others = (
        list(model.infer(tmp_path, prompts, direction=direction)) for model in siamese
    )
    assert len(expected) == 4 and len(expected[0].objects) == 1
    for results in others:
        for one, other in zip(expected, results, strict=True):
            assert one.shape == (600, 800)
            assert_same(one, other)


def test_siamese_without_torch_knows_no_points(siamese):
    model = siamese[1]
    model.start()
    with pytest.raises(ValueError, match='points'):
        model.add({0: {1: {'points': [(112, 80, 1)]}}})
        model.step(picture(0))


def test_a_siamese_step_leaves_its_state_as_it_was(siamese):
    prompts = Prompts((1,), (None,), (BLUE_BOX,))
    check_step_leaves_state(siamese[1].model, prompts, 'kernels')


def states_of_both(both, pictures):
    """Two objects in pictures: the states of both after each frame; the results are the same."""
    prompts = Prompts((1, 2), (red_mask(), None), (None, BLUE_BOX))
    states = [inferencer.model.init_state() for inferencer in both]
    for index, shown in enumerate(pictures):
        results = []
        for number, inferencer in enumerate(both):
            frame = inferencer.prepare_frame(shown, index)
            given = prompts if index == 0 else None
            step = inferencer.model.inference_step
            states[number], result = step(frame, states[number], given)
            results.append(result)
        assert_same(*results)
        yield states


def test_calm_objects_are_seen_in_the_smaller_squares_by_both(both, monkeypatch):
    """Two objects that stay have squares of 352 pixels, 22 * 22 cells, from the third frame on."""
    for inferencer in both:
        monkeypatch.setattr(inferencer.model.tracker, 'idle_change', None)
    for index, states in enumerate(states_of_both(both, [picture(0)] * 4)):
        positions = [[item.last[0].shape[-1] for item in state] for state in states]
        expected = 22**2 if index > 1 else 28**2
        assert positions == [[expected] * 2] * 2


def test_idle_objects_are_computed_in_the_same_frames_by_both(both):
    """Both stay; in the fourth picture something covers a part of the blue one."""
    near = picture(0).copy()
    left, top = map(int, BLUE_BOX[:2])
    near[top + 5 : top + 15, left + 5 : left + 15] = 255
    pictures = [*[picture(0)] * 3, near, near]
    ages = []
    for states in states_of_both(both, pictures):
        ages.append([[item.look and item.look.age for item in state] for state in states])
    assert [one for one, _ in ages] == [other for _, other in ages]
    assert [one for one, _ in ages][:4] == [[None, None], [0, 0], [1, 1], [2, 0]]
