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
from tiny_siamese import HEIGHT, WIDER, WIDTH, frame, pair_sample, tiny_siamese
from torch import nn

from mmvos.models import PromptedSegmenter
from mmvos.models.siammask.voting import RESPONSE_PADDING
from mmvos.structures import Prompts
from mmvos.structures.rle import decode

WIDER_SHARP = dict(WIDER, **{'head.refine.channels': 16})
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
        lambda correlation, search, rois, fine: torch.full((len(rois), 28, 28), value),
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


def test_the_overlap_with_the_last_box_decides_who_votes(model, monkeypatch):
    """By overlap alone the best candidate is nearer to where the object was, (36, 26.25)."""
    monkeypatch.setattr(model.tracker, 'follow_mask', False)
    moves = {}
    for weight in (0.0, 1.0):
        monkeypatch.setattr(model.tracker.voting, 'iou_weight', weight)
        (state,), _ = run(model, 1, frames=2)
        moves[weight] = np.hypot(state.center[0] - 36, state.center[1] - 26.25)
    assert moves[1.0] < moves[0.0]


def test_an_option_says_what_is_followed(model, monkeypatch):
    """Without ``follow_mask`` the center is the anchor's, which the mask does not move."""
    centers = {}
    for follow_mask in (None, True, False):
        monkeypatch.setattr(model.tracker, 'follow_mask', follow_mask)
        for value in (5.0, -5.0):
            answer(model, monkeypatch, value)
            (state,), _ = run(model, 1, frames=2)
            centers[follow_mask, value] = state.center
    assert centers[None, 5.0] == centers[True, 5.0] != centers[True, -5.0]
    assert centers[False, 5.0] == centers[False, -5.0] == centers[True, -5.0]


def test_trained_together_the_vote_has_no_influence_on_the_first_stage():
    voting = dict(type='mmvos.VotingMaskHead', channels=16)
    model = tiny_siamese(voting=voting, joint_voting=True, **WIDER_SHARP).train()
    tracker = model.tracker
    torch.manual_seed(0)
    templates, searches = torch.rand(2, 3, 127, 127) * 255, torch.rand(2, 3, 255, 255) * 255
    boxes = torch.tensor([[95.0, 95.0, 159.0, 159.0]] * 2)
    masks = torch.zeros(2, 255, 255, dtype=torch.uint8)
    masks[:, 100:150, 100:150] = 1
    pairs = tracker.forward_pairs(templates, searches, RESPONSE_PADDING)
    losses = tracker._vote_loss(pairs, boxes, masks, torch.tensor([True, True]))
    losses['loss_vote'].backward()
    with_gradient = {name for name, p in tracker.named_parameters() if p.grad is not None}
    assert with_gradient and all(name.startswith('voting.') for name in with_gradient)


@pytest.mark.parametrize('joint', [True, False])
def test_a_step_runs_each_layer_of_the_first_stage_once(joint):
    """Else the statistics of its batch norms would move twice."""
    voting = dict(type='mmvos.VotingMaskHead', channels=16)
    model = tiny_siamese(voting=voting, joint_voting=joint, **WIDER_SHARP).train()
    norms = [norm for norm in model.tracker.neck.modules() if isinstance(norm, nn.BatchNorm2d)]
    before = [int(norm.num_batches_tracked) for norm in norms]
    pair = pair_sample(255)
    losses = model.loss(pair['inputs'][None].float(), [pair['data_samples']])
    assert ('loss_mask' in losses) == joint and 'loss_vote' in losses
    moved = [int(norm.num_batches_tracked) - count for norm, count in zip(norms, before)]
    assert moved == [1] * 6  # score, box and mask, of templates and of search windows


def test_one_refined_vote_is_the_mask_of_siammask_inside_its_box():
    """The only candidate is the best anchor; its region is enlarged to the whole window."""
    voting = dict(type='mmvos.VotingMaskHead', refined=True, top_k=1, min_votes=1, iou_weight=0.0)
    voting.update(mask_threshold=0.35, enlarge=1000.0)
    found = {}
    for name, options in (('vote', dict(voting=voting, follow_mask=False)), ('best', {})):
        model = tiny_siamese(refine=True, **options)
        _, result = run(model, 1, frames=2)
        found[name] = decode(result.objects[0].mask)
    assert found['best'].any()
    union = (found['vote'] | found['best']).sum()
    # Masks are pasted with and without the published shrinking of the frame.
    assert (found['vote'] & found['best']).sum() > 0.9 * union
    with pytest.raises(ValueError, match='MaskRefiner'):
        tiny_siamese(refine=False, voting=voting)
