"""torch.compile of the networks of SiamMask and MaskTrack gives what they gave."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tiny_masktrack
import tiny_segmenter
import tiny_siamese
import torch
from torch import nn

from mmvos.io.errors import DataError
from mmvos.models import PromptedSegmenter
from mmvos.optimize import optimize
from mmvos.structures import Prompts
from mmvos.structures.rle import decode

PROMPTS = Prompts((1,), (None,), ((20.0, 12.5, 52.0, 40.0),))
needs_compiler = pytest.mark.skipif(
    shutil.which('g++') is None, reason='torch.compile needs a C++ compiler on a CPU'
)


def masks_of(model: PromptedSegmenter, frame_of) -> list[np.ndarray]:
    """The masks of an object in three frames."""
    frames = [frame_of(t) for t in range(3)]
    results = model.run(frames, {0: PROMPTS})
    return [decode(result.objects[0].mask) for result in results]


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize('name', ['masktrack', 'siammask'])
def test_compiled_networks_give_the_same_masks(name, monkeypatch):
    build = tiny_segmenter.tiny_segmenter
    frame_of = tiny_segmenter.frame
    if name == 'siammask':
        build = tiny_siamese.tiny_siamese
        frame_of = tiny_siamese.frame
    expected = masks_of(optimize(build()), frame_of)

    # Where a network is compiled, its convolutions are not called one by one.
    model = optimize(build(), compiles=True)
    calls = []
    backbone = model.tracker.backbone if name == 'masktrack' else model.tracker.features.backbone
    monkeypatch.setattr(backbone.conv1, 'forward', _recorded(backbone.conv1, calls))
    found = masks_of(model, frame_of)
    for before, after in zip(expected, found, strict=True):
        assert before.any()
        assert (before != after).mean() < 1e-3
    assert calls == []


def _recorded(layer: nn.Conv2d, calls: list[int]):
    """The forward of a layer that says outside of the compiler that it was called."""
    plain = layer.forward

    def forward(x):
        if not torch.compiler.is_compiling():
            calls.append(len(x))
        return plain(x)

    return forward


def test_without_a_compiler_it_says_so(monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(DataError, match=r'C\+\+ compiler .*no-such-compiler'):
        optimize(tiny_siamese.tiny_siamese(), compiles=True)


def test_a_detector_cannot_be_compiled():
    with pytest.raises(DataError, match='MaskTrack can be compiled'):
        optimize(tiny_masktrack.tiny_model(), compiles=True)
