"""SiameseTracker with a vote (S2iamMask): by what an object is followed, and what does not depend
on the other objects.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from tiny_siamese import HEIGHT, WIDER, WIDTH, frame, tiny_siamese

from mmvos.models import PromptedSegmenter
from mmvos.structures import Prompts
from mmvos.structures.rle import decode

BOXES = {1: (20.0, 12.5, 52.0, 40.0), 4: (50.25, 30.0, 80.0, 60.0)}


@pytest.fixture(scope='module')
def model() -> PromptedSegmenter:
    voting = dict(
        type='mmvos.VotingMaskHead',
        channels=16,
        min_area=100.0,
        iou_weight=0.5,
        enlarge=0.3,
        mask_threshold=0.3,
    )
    return tiny_siamese(refine=False, voting=voting, **WIDER)


def answer(model: PromptedSegmenter, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    """All candidates say the same everywhere in their boxes."""
    monkeypatch.setattr(
        model.tracker.voting,
        'forward',
        lambda correlation, search, rois: torch.full((len(rois), 28, 28), value),
    )


def run(model: PromptedSegmenter, *ids: int, frames: int = 3):
    state = model.init_state()
    prompts = Prompts(ids, (None,) * len(ids), tuple(BOXES[i] for i in ids))
    with torch.no_grad():
        for t in range(frames):
            state, result = model.step(frame(t), state, prompts if t == 0 else None)
    return state, result


def test_an_object_is_followed_by_the_box_of_its_mask(model, monkeypatch):
    answer(model, monkeypatch, 5.0)
    (state,), result = run(model, 1, frames=2)
    rows, columns = np.nonzero(decode(result.objects[0].mask))
    left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    assert state.center == ((left + right) / 2, (top + bottom) / 2)
    assert state.size == (max(right - left, 10), max(bottom - top, 10))


def test_without_enough_votes_by_its_own_box(model, monkeypatch):
    answer(model, monkeypatch, -5.0)
    (state,), result = run(model, 1, frames=2)
    assert not decode(result.objects[0].mask).any()
    x, y = np.array(state.region).mean(axis=0)
    assert (min(max(x, 0), WIDTH), min(max(y, 0), HEIGHT)) == pytest.approx(state.center)


def test_only_the_vote_is_trained(model):
    """Of a pair of a dark square in noise, and of one whose mask is not known."""
    square = np.zeros((1, 255, 255), dtype=np.uint8)
    square[:, 95:160, 95:160] = 1
    samples = []
    for known in (True, False):
        instances = InstanceData(
            bboxes=torch.tensor([[95.0, 95.0, 159.0, 159.0]]), masks=BitmapMasks(square, 255, 255)
        )
        search = DetDataSample(
            gt_instances=instances, metainfo=dict(negative=False, has_mask=known)
        )
        samples.append([DetDataSample(), search])
    inputs = torch.rand(2, 2, 3, 255, 255) * 255
    losses = model.loss(inputs, samples)
    assert set(losses) == {'loss_vote'} and losses['loss_vote'].item() > 0
    losses['loss_vote'].backward()
    trained = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert trained == {
        f'tracker.voting.{name}' for name, _ in model.tracker.voting.named_parameters()
    }
    model.zero_grad()
