"""SiameseTracker against a plain transcription of the method's steps, and what follows from objects
being independent.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from tiny_siamese import HEIGHT, WIDTH, frame, picture, tiny_siamese

from mmvos.models import PromptedSegmenter
from mmvos.models.siammask.state import center_probabilities
from mmvos.optimize import optimize
from mmvos.structures import Prompts
from mmvos.structures.rle import decode

BOXES = {1: (20.0, 12.5, 52.0, 40.0), 4: (60.25, 30.0, 90.0, 60.0), 7: (5.0, 40.0, 25.0, 70.0)}
ANCHORS = ((104, 32), (88, 40), (64, 64), (40, 80), (32, 96))


@pytest.fixture(scope='module', params=[True, False], ids=['sharp', 'base'])
def model(request) -> PromptedSegmenter:
    return tiny_siamese(refine=request.param)


def boxed(*ids: int) -> Prompts:
    return Prompts(ids, (None,) * len(ids), tuple(BOXES[i] for i in ids))


def states_of(
    model: PromptedSegmenter, prompts: Prompts, frames: int, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> list[tuple]:
    """The state after each frame."""
    state, states = model.init_state(), []
    with torch.no_grad():
        for t in range(frames):
            state, _ = model.step(frame(t, None, *size), state, prompts if t == 0 else None)
            states.append(state)
    return states


class PlainTracker:
    """One object, one step at a time, in numpy, from the description of the published code
    (sections 2.1 to 2.3).
    """

    def __init__(self, tracker, image: np.ndarray, box: tuple[float, ...]) -> None:
        x1, y1, x2, y2 = box
        self.net, self.position, self.size = (
            tracker,
            np.array([(x1 + x2) / 2, (y1 + y2) / 2]),
            np.array([x2 - x1, y2 - y1]),
        )
        self.color = image.mean(axis=(0, 1))
        side = round(
            math.sqrt(
                (self.size[0] + 0.5 * self.size.sum()) * (self.size[1] + 0.5 * self.size.sum())
            )
        )
        self.template = self.tensor(self.crop(image, side, 127))

    def crop(self, image: np.ndarray, side: int, out: int) -> np.ndarray:
        canvas = np.zeros((image.shape[0] + 800, image.shape[1] + 800, 3), dtype=np.uint8)
        canvas[:] = self.color  # truncated
        canvas[400:-400, 400:-400] = image
        x0, y0 = (round(value - (side + 1) / 2) + 400 for value in self.position)
        return cv2.resize(canvas[y0 : y0 + side, x0 : x0 + side], (out, out))

    @staticmethod
    def tensor(crop: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(crop.transpose(2, 0, 1).astype(np.float32))[None]

    def step(self, image: np.ndarray) -> np.ndarray:
        net, (w, h) = self.net, self.size
        context = 0.5 * (w + h)
        side = math.sqrt((w + context) * (h + context))
        scale = 127 / side
        whole = round(side * 255 / 127)
        search = self.tensor(self.crop(image, whole, 255))
        pairs = net.forward_pairs(self.template, search)
        score = np.exp(
            pairs.logits[0].view(2, 5, 625).log_softmax(0)[1].numpy().astype(np.float64)
        ).ravel()
        deltas = pairs.deltas[0].view(4, 5, 25, 25).numpy().astype(np.float64)
        grid = (np.arange(25) - 12) * 8
        shape = np.array(ANCHORS)[:, :, None, None]
        boxes = np.stack(
            [
                deltas[0] * shape[:, 0] + grid[None, None, :],
                deltas[1] * shape[:, 1] + grid[None, :, None],
                np.exp(deltas[2]) * shape[:, 0],
                np.exp(deltas[3]) * shape[:, 1],
            ]
        ).reshape(4, -1)

        def padded(a, b):
            return np.sqrt((a + (a + b) / 2) * (b + (a + b) / 2))

        sizes, ratios = (
            padded(boxes[2], boxes[3]) / padded(w * scale, h * scale),
            (w / h) / (boxes[2] / boxes[3]),
        )
        penalty = np.exp(
            -(np.maximum(sizes, 1 / sizes) * np.maximum(ratios, 1 / ratios) - 1) * net.penalty
        )
        window = np.tile(np.outer(np.hanning(25), np.hanning(25)).ravel(), 5)
        best = int(
            np.argmax(penalty * score * (1 - net.window_influence) + window * net.window_influence)
        )
        row, column = best % 625 // 25, best % 25

        logits = net.mask_logits(
            pairs.mask_response, pairs.features, torch.tensor([[0, row, column]])
        )[0]
        ratio = whole / 255
        area = [
            self.position[0] - whole / 2 + (column - 4) * 8 * ratio,
            self.position[1] - whole / 2 + (row - 4) * 8 * ratio,
        ]
        height, width = image.shape[:2]
        a = (width - 1) / width * 127 * ratio / logits.shape[1]
        b = (height - 1) / height * 127 * ratio / logits.shape[0]
        matrix = np.array(
            [[a, 0, area[0] * (width - 1) / width], [0, b, area[1] * (height - 1) / height]]
        )
        pasted = cv2.warpAffine(
            logits.sigmoid().numpy(),
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=-1,
        )

        rate = penalty[best] * score[best] * net.size_rate
        self.position = np.clip(self.position + boxes[:2, best] / scale, 0, (width, height))
        self.size = np.clip(
            self.size * (1 - rate) + boxes[2:, best] / scale * rate, 10, (width, height)
        )
        self.score = score[best]
        return pasted


@pytest.mark.parametrize(
    'settings', [dict(), dict(penalty=0.1, window_influence=0.2, size_rate=0.3, mask_threshold=0.5)]
)
@pytest.mark.parametrize('refine', [True, False], ids=['sharp', 'base'])
def test_a_sequence_is_that_of_the_plain_steps(refine, settings):
    model = tiny_siamese(3, refine, **settings)
    state = model.init_state()
    plain = PlainTracker(model.tracker, picture(0), BOXES[1])
    places = set()
    with torch.no_grad():
        for t in range(6):
            state, result = model.step(frame(t), state, boxed(1) if t == 0 else None)
            if t == 0:
                continue
            mask = plain.step(picture(t))
            assert state[0].center == pytest.approx(plain.position, abs=1e-2)
            assert state[0].size == pytest.approx(plain.size, abs=1e-2)
            assert state[0].score == pytest.approx(plain.score, rel=1e-4)
            found = decode(result.objects[0].mask)
            unsure = abs(mask - model.tracker.mask_threshold) < 1e-3
            assert (found == (mask > model.tracker.mask_threshold))[
                ~unsure
            ].all() and unsure.mean() < 0.2
            places.add(state[0].center)
    assert len(places) >= 3  # it moves


def test_start_from_a_box_and_from_the_tight_box_of_a_mask(model):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[10:30, 20:60] = True
    mask[40, 70] = True
    (state,) = states_of(model, Prompts((2, 3), (None, mask), (BOXES[4], None)), 1)
    assert state[0].center == ((60.25 + 90) / 2, 45.0) and state[0].size == (29.75, 30.0)
    assert state[1].center == (45.5, 25.5) and state[1].size == (51.0, 31.0)
    assert state[1].region == ((20, 10), (71, 10), (71, 41), (20, 41)) and state[1].score == 1
    assert state[0].kernels.shape == (3, 8, 5, 5)


def test_a_given_mask_is_the_answer_and_a_box_is_segmented(model):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[10:30, 20:60] = True
    results = list(
        model.run([frame(0), frame(1)], {0: Prompts((2, 3), (mask, None), (None, BOXES[7]))})
    )
    assert (decode(results[0].objects[0].mask) == mask).all()
    assert [item.id for item in results[1].objects] == [2, 3]


def test_template_branches_are_computed_once_and_all_objects_in_one_pass(model):
    calls = []
    tracker = model.tracker
    modules = {
        'kernel': tracker.neck.kernel['mask'],
        'search': tracker.neck.search['score'],
        'backbone': tracker.features.backbone,
    }
    hooks = [
        module.register_forward_hook(lambda m, i, o, name=name: calls.append((name, len(i[0]))))
        for name, module in modules.items()
    ]
    try:
        states_of(
            model, Prompts((1, 4, 7), (np.ones((HEIGHT, WIDTH), dtype=bool),) * 3, (None,) * 3), 3
        )
    finally:
        for hook in hooks:
            hook.remove()
    assert calls == [('backbone', 3), ('kernel', 3), *[('backbone', 3), ('search', 3)] * 2]


def test_many_objects_pass_in_equal_groups_and_are_found_as_alone(model):
    prompts = Prompts(
        tuple(range(1, 7)),
        (None,) * 6,
        tuple((x, y, x + 20.0, y + 24.0) for x in (5.0, 30.0, 60.0) for y in (8.0, 40.0)),
    )
    sizes = []
    hook = model.tracker.features.backbone.register_forward_hook(
        lambda module, given, result: sizes.append(len(given[0]))
    )
    try:
        together = states_of(model, prompts, 3)
    finally:
        hook.remove()
    # six templates and the boxes of the first frame, then two frames
    assert sizes == [6, *[3, 3] * 3]
    for k in range(6):
        one = Prompts((k + 1,), (None,), (prompts.boxes[k],))
        assert_same(states_of(model, one, 3)[-1][0], together[-1][k])


def assert_same(first, second, tolerance: float = 1e-4) -> None:
    for name in ('center', 'size', 'score', 'region'):
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=tolerance, atol=tolerance
        )
    assert first.id == second.id and first.color == second.color


def test_a_step_can_be_replayed(model):
    with torch.no_grad():
        state, _ = model.step(frame(0), model.init_state(), boxed(1, 4))
        kernels = [item.kernels.clone() for item in state]
        before = [(item.center, item.size, item.score, item.region) for item in state]
        first, again = (model.step(frame(1), state) for _ in range(2))
    assert before == [(item.center, item.size, item.score, item.region) for item in state]
    assert all(torch.equal(a, b.kernels) for a, b in zip(kernels, state))
    assert first[1] == again[1]
    for one, other in zip(first[0], again[0]):
        assert_same(one, other, 0)


def test_an_object_given_late(model):
    prompts = {0: boxed(4), 2: boxed(1)}
    results = list(model.run([frame(t) for t in range(4)], prompts))
    assert [[item.id for item in result.objects] for result in results] == [
        [4],
        [4],
        [1, 4],
        [1, 4],
    ]


@pytest.mark.parametrize(
    'box',
    [
        (0.0, 0.0, 1.0, 1.0),
        (95.5, 71.5, 96.0, 72.0),
        (0.0, 0.0, 96.0, 72.0),
        (40.0, 0.0, 40.2, 72.0),
    ],
    ids=['pixel', 'half a pixel in the corner', 'whole frame', 'line'],
)
def test_extreme_boxes_give_defined_results(model, box):
    states = states_of(model, Prompts((1,), (None,), (box,)), 4)
    for state in states[1:]:
        (x, y), (w, h) = state[0].center, state[0].size
        assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT and 10 <= w <= WIDTH and 10 <= h <= HEIGHT
        assert np.isfinite(state[0].region).all() and 0 < state[0].score < 1


def test_a_frame_of_no_object_and_a_video_of_one_frame(model):
    assert [len(result.objects) for result in model.run([frame(0)])] == [0]
    (result,) = model.run([frame(0)], {0: boxed(1)})
    assert [item.id for item in result.objects] == [1]


def test_accelerated_numbers_are_the_same():
    plain = states_of(tiny_siamese(), boxed(1, 4), 3)
    fast = states_of(optimize(tiny_siamese()), boxed(1, 4), 3)
    for one, other in zip(plain, fast):
        for k in range(2):
            assert_same(one[k], other[k], 1e-3)


def test_a_threshold_comes_to_lie_at_a_half():
    """0, threshold / 2, threshold, the middle between threshold and 1, and 1; -1 is what lies
    outside a mask.
    """
    found = center_probabilities(torch.tensor([-1.0, 0.0, 0.15, 0.3, 0.65, 1.0]), 0.3)
    assert found.tolist() == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1], abs=1e-6)
    values = torch.linspace(0, 1, 1001)
    found = center_probabilities(values, 0.35)
    assert ((found > 0.5) == (values > 0.35)).all() and ((found >= 0.5) == (values > 0.35)).all()
    assert (found.diff() >= 0).all()
