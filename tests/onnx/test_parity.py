"""The shipped model as ONNX graphs finds what it finds in torch."""

from __future__ import annotations

import numpy as np
import pytest
from moving_squares import BLUE_BOX, picture, red_mask

from mmvos.apis import VideoInferencer
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


def test_a_step_leaves_its_state_as_it_was(both):
    model = both[1].model
    first = Prompts((1,), (red_mask(),), (None,))
    frames = [model.prepare(index, picture(index)) for index in range(2)]
    state, _ = model.step(frames[0], model.init_state(), first)
    guide = state[0].guide.copy()
    answers = [model.step(frames[1], state)[1] for _ in range(2)]
    assert answers[0] == answers[1]
    assert np.array_equal(state[0].guide, guide)
