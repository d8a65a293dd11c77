"""SiameseTracker on a feature pyramid: the same tracker, one pass of the backbone over a frame for
all objects.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_siamese import CHANNELS, frame_for, tiny_pyramid

from mmvos.models import PromptedSegmenter
from mmvos.structures import Prompts

BOXES = {1: (20.0, 12.5, 52.0, 40.0), 4: (60.25, 30.0, 90.0, 60.0)}


@pytest.fixture(scope='module', params=[(4, 8, 16, 32), (4, 8)], ids=['four levels', 'two levels'])
def model(request) -> PromptedSegmenter:
    return tiny_pyramid(**{'features.strides': request.param})


def states_of(model: PromptedSegmenter, *ids: int):
    state = model.init_state()
    prompts = Prompts(ids, (None,) * len(ids), tuple(BOXES[i] for i in ids))
    with torch.no_grad():
        for t in range(3):
            state, result = model.step(
                frame_for(model, t, height=96, width=128), state, prompts if t == 0 else None
            )
    return state, result


def test_an_object_alone_is_the_same_as_among_others(model):
    together, result = states_of(model, 1, 4)
    assert [item.id for item in result.objects] == [1, 4]
    for k, number in enumerate(BOXES):
        (alone,), _ = states_of(model, number)
        for name in ('center', 'size', 'score', 'region'):
            np.testing.assert_allclose(
                getattr(alone, name), getattr(together[k], name), rtol=1e-4, atol=1e-4
            )
        assert alone.kernels.shape == (3, CHANNELS, 5, 5)


def test_one_pass_over_each_frame(model):
    passes = []
    hook = model.tracker.features.backbone.register_forward_hook(
        lambda m, i, o: passes.append(tuple(i[0].shape))
    )
    try:
        states_of(model, 1, 4)
    finally:
        hook.remove()
    assert passes == [(1, 3, 96, 128)] * 3


def test_pairs_are_compared_and_masks_refined_in_training(model):
    pairs = model.tracker.forward_pairs(torch.randn(2, 3, 127, 127), torch.randn(2, 3, 143, 143))
    assert (pairs.logits.shape, pairs.deltas.shape, pairs.mask_response.shape) == (
        (2, 10, 3, 3),
        (2, 20, 3, 3),
        (2, CHANNELS, 3, 3),
    )
    masks = model.tracker.mask_logits(
        pairs.mask_response, pairs.features, torch.tensor([[0, 0, 2], [1, 1, 1], [1, 2, 0]])
    )
    assert masks.shape == (3, 127, 127)
    masks.sum().backward()
    assert model.tracker.features.backbone.layer2[0].conv1.weight.grad.abs().sum() > 0
    model.zero_grad()
