"""SiamMask made faster gives what it gave: every variant, with packed convolutions and with
Winograd's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny_siamese import VARIANTS, frame_for, tiny_variant

from mmvos.models import PromptedSegmenter
from mmvos.optimize import optimize, packed_layers, winograd
from mmvos.structures import Prompts

PROMPTS = Prompts((1, 4), (None, None), ((20.0, 12.5, 52.0, 40.0), (60.25, 30.0, 90.0, 60.0)))


@torch.no_grad()
def states_of(model: PromptedSegmenter) -> list[Sequence[Any]]:
    state, states = model.init_state(), []
    for t in range(4):
        state, _ = model.step(frame_for(model, t), state, PROMPTS if t == 0 else None)
        states.append(state)
    return states


@pytest.mark.parametrize('name', VARIANTS)
def test_states_are_the_same(name, monkeypatch):
    expected = states_of(tiny_variant(name))
    monkeypatch.setattr(winograd, 'MIN_CHANNELS', 4)
    model = optimize(tiny_variant(name))
    if packed_layers.can_pack(torch.nn.Conv2d(1, 1, 1)):
        kinds = {type(module) for module in model.modules()}
        assert {
            packed_layers.PackedConv2d,
            winograd.WinogradConv2d,
        } <= kinds and torch.nn.Conv2d not in kinds
    for before, after in zip(expected, states_of(model), strict=True):
        for one, other in zip(before, after, strict=True):
            assert other.center == pytest.approx(
                one.center, abs=1e-2
            ) and other.size == pytest.approx(one.size, abs=1e-2)
            assert other.score == pytest.approx(one.score, rel=1e-3)
    assert len({state[0].center for state in expected}) > 2
