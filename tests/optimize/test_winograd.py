"""Winograd's convolutions against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmvos.optimize import winograd
from mmvos.optimize.packed_layers import PackedConv2d, can_pack
from mmvos.optimize.winograd import WinogradConv2d, apply_winograd, winograd_matrices

pytestmark = pytest.mark.skipif(
    not can_pack(nn.Conv2d(1, 1, 1)), reason='this torch has no packed convolutions'
)

WIDE = {
    'same size': dict(padding=1),
    'smaller': dict(padding=0),
    'dilated': dict(padding=2, dilation=2),
}


@pytest.mark.parametrize('geometry', WIDE.values(), ids=WIDE)
@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('tiles_at_once', [256, 24])
@torch.no_grad()
def test_winograd_is_the_convolution_to_float_rounding(geometry, relu, tiles_at_once, monkeypatch):
    # of eight rows, blocks of three: the last begins before the second ends
    monkeypatch.setattr(winograd, 'MAX_TILES', tiles_at_once)
    torch.manual_seed(0)
    layer = nn.Conv2d(192, 200, 3, **geometry)
    module = nn.Sequential(PackedConv2d(layer, relu))
    apply_winograd(module)
    assert isinstance(module[0], WinogradConv2d)
    # no multiples of a tile; the last is too small for tiles
    for size in ((13, 17), (31, 16), (6, 5)):
        x = torch.randn(2, 192, *size).contiguous(memory_format=torch.channels_last)
        exact = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), **geometry)
        exact = F.relu(exact) if relu else exact
        found = module(x)
        assert found.shape == exact.shape
        assert (found - exact).abs().max() < 1e-5 * exact.abs().max()
    residual = torch.randn_like(found)
    torch.testing.assert_close(module[0](x, residual), PackedConv2d(layer, relu)(x, residual))


def test_winograd_matrices_slide_a_kernel():
    forth, back, spread = winograd_matrices()
    cells, kernel = (
        torch.tensor([3.0, 1, 4, 1, 5, 9], dtype=torch.float64),
        torch.tensor([2.0, 7, 1], dtype=torch.float64),
    )
    torch.testing.assert_close(
        back @ ((forth @ cells) * (spread @ kernel)),
        torch.tensor([17.0, 31, 20, 46], dtype=torch.float64),
    )


@pytest.mark.parametrize(
    'layer',
    [
        nn.Conv2d(192, 128, 3),
        nn.Conv2d(192, 192, 1),
        nn.Conv2d(192, 192, 3, stride=2),
        nn.Conv2d(192, 192, 3, padding=(0, 1)),
    ],
)
def test_what_winograd_is_not_for(layer):
    module = nn.Sequential(PackedConv2d(layer, False))
    apply_winograd(module)
    assert isinstance(module[0], PackedConv2d)
