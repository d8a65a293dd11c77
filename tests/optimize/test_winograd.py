"""Winograd's convolutions against torch's own."""

from __future__ import annotations

import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import nn
from torch.nn import functional as F

from mmvos.optimize import winograd
from mmvos.optimize.packed_layers import PackedConv2d, can_pack
from mmvos.optimize.packed_mask_head import pack_mask_head
from mmvos.optimize.winograd import WinogradConv2d, apply_winograd
from mmvos.optimize.winograd_tiles import POINTS, fastest_tile, make_tile

pytestmark = pytest.mark.skipif(
    not can_pack(nn.Conv2d(1, 1, 1)), reason='this torch has no packed convolutions'
)

WIDE = {
    'same size': dict(padding=1),
    'smaller': dict(padding=0),
    'dilated': dict(padding=2, dilation=2),
    'dilated, smaller': dict(padding=0, dilation=2),
}
# Largest error, in parts of the largest output. An ordinary convolution has 2e-6 here.
LARGEST_ERROR = {4: 1e-5, 5: 2e-5, 6: 4e-5}


def use_tiles(monkeypatch, size):
    """Let all maps be computed with tiles of a size; None: with none."""

    def fastest(images, *_):
        return size if images else None

    monkeypatch.setattr(winograd, 'fastest_tile', fastest)


@pytest.mark.parametrize('geometry', WIDE.values(), ids=WIDE)
@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('tiles_at_once', [256, 24])
@pytest.mark.parametrize('size', POINTS)
@torch.no_grad()
def test_winograd_is_the_convolution_to_float_rounding(
    geometry, relu, tiles_at_once, size, monkeypatch
):
    # of eight rows, blocks of three: the last begins before the second ends
    monkeypatch.setattr(winograd, 'MAX_TILES', tiles_at_once)
    use_tiles(monkeypatch, size)
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 72, 3, **geometry)
    module = nn.Sequential(PackedConv2d(layer, relu))
    apply_winograd(module)
    assert isinstance(module[0], WinogradConv2d)
    # multiples of a tile and of none, in images and phases; maps smaller than a tile
    for height, width in ((13, 17), (31, 16), (12, 20), (24, 30), (6, 5)):
        x = torch.randn(2, 64, height, width).contiguous(memory_format=torch.channels_last)
        exact = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), **geometry)
        exact = F.relu(exact) if relu else exact
        found = module(x)
        assert found.shape == exact.shape
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert (found - exact).abs().max() < LARGEST_ERROR[size] * exact.abs().max()
    residual = torch.randn_like(found)
    torch.testing.assert_close(module[0](x, residual), PackedConv2d(layer, relu)(x, residual))


@pytest.mark.parametrize('size', POINTS)
@torch.no_grad()
def test_the_error_grows_with_the_tile_and_stays_small(size, monkeypatch):
    torch.manual_seed(0)
    layer = nn.Conv2d(256, 256, 3, padding=1)
    x = torch.randn(1, 256, 24, 40).contiguous(memory_format=torch.channels_last)
    exact = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), padding=1)

    def error(size):
        use_tiles(monkeypatch, size)
        found = WinogradConv2d(PackedConv2d(layer, False))(x)
        return ((found - exact).square().mean().sqrt() / exact.std()).item()

    # The points that are used have 1.6, 3.2 and 7 times the error; Lavin's own for 4 have 3.5.
    ordinary = error(None)
    assert ordinary < 1.5e-6
    assert ordinary < error(size) < {4: 2.5, 5: 5.0, 6: 10.0}[size] * ordinary


@pytest.mark.skipif(
    not can_pack(nn.Conv2d(1, 1, 1).bfloat16()), reason='this CPU has no packed bfloat16'
)
@torch.no_grad()
def test_a_layer_of_bfloat16_is_computed_in_float32(monkeypatch):
    monkeypatch.setattr(winograd, '_has_amx', lambda: False)
    use_tiles(monkeypatch, 6)
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 64, 3, padding=1).bfloat16()
    x = torch.randn(1, 64, 13, 17).bfloat16().contiguous(memory_format=torch.channels_last)
    found = WinogradConv2d(PackedConv2d(layer, False))(x)
    exact = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), padding=1)
    assert found.dtype == torch.bfloat16
    # One rounding, at the end: half of the distance of two bfloat16s.
    torch.testing.assert_close(found.double(), exact, rtol=2**-8, atol=1e-4)


def test_amx_computes_bfloat16_itself(monkeypatch):
    layer = nn.Conv2d(64, 64, 3, padding=1).bfloat16()
    if not can_pack(layer):
        pytest.skip('this CPU has no packed bfloat16')
    packed = PackedConv2d(layer, False)
    monkeypatch.setattr(winograd, '_has_amx', lambda: False)
    assert WinogradConv2d.can_replace(packed)
    monkeypatch.setattr(winograd, '_has_amx', lambda: True)
    assert not WinogradConv2d.can_replace(packed)


@pytest.mark.parametrize('size', POINTS)
def test_the_matrices_slide_a_kernel(size):
    tile = make_tile(size)
    cells = torch.tensor([3.0, 1, 4, 1, 5, 9, 2, 6], dtype=torch.float64)[: size + 2]
    kernel = torch.tensor([2.0, 7, 1], dtype=torch.float64)
    # 3 * 2 + 1 * 7 + 4 * 1 = 17, 1 * 2 + 4 * 7 + 1 * 1 = 31, ...
    products = (tile.to_sums.double() @ cells) * (tile.kernel @ kernel)
    slid = torch.tensor([17.0, 31, 20, 46, 75, 38], dtype=torch.float64)[:size]
    torch.testing.assert_close(tile.to_cells.double() @ products, slid, rtol=1e-5, atol=1e-5)


def test_which_tiles_a_map_takes():
    def chosen(height, width, channels, images=1, dtype=torch.float32):
        return fastest_tile(images, height, width, (channels, channels, 3, 3), dtype)

    # The pyramid of a frame of 640 x 360, and stages of its backbone.
    assert [chosen(96, 160, 256), chosen(48, 80, 256), chosen(24, 40, 256)] == [6, 6, 4]
    assert [chosen(12, 20, 512), chosen(48, 80, 128), chosen(96, 160, 64)] == [4, 6, 6]
    assert chosen(6, 10, 256) is None
    # Regions of a mask head: 3 x 3 tiles of 5 cells cover 14 x 14 with the least waste.
    assert chosen(14, 14, 256, images=8) == 5
    # bfloat16 is twice as fast by itself.
    assert chosen(96, 160, 256, dtype=torch.bfloat16) == 6
    assert chosen(24, 40, 256, dtype=torch.bfloat16) is None
    # nothing to compute
    assert chosen(14, 14, 256, images=0) is None


@torch.no_grad()
def test_a_mask_head_computes_any_number_of_regions(monkeypatch):
    torch.manual_seed(0)
    head = FCNMaskHead(num_convs=2, in_channels=64, conv_out_channels=64, num_classes=3).eval()
    regions = [torch.randn(count, 64, 14, 14) for count in (3, 9, 1, 0, 9, 9)]
    expected = [head(region) for region in regions]
    pack_mask_head(head)
    assert all(isinstance(layer, WinogradConv2d) for layer in head.convs)
    for size in (5, None):
        use_tiles(monkeypatch, size)
        for region, logits in zip(regions, expected, strict=True):
            torch.testing.assert_close(head(region), logits, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_mask_head_in_bfloat16_stays():
    head = FCNMaskHead(num_convs=2, in_channels=64, conv_out_channels=64, num_classes=3).bfloat16()
    pack_mask_head(head)
    assert not any(isinstance(layer, WinogradConv2d) for layer in head.convs)


@pytest.mark.parametrize(
    'layer',
    [
        nn.Conv2d(64, 48, 3),
        nn.Conv2d(192, 192, 1),
        nn.Conv2d(192, 192, 3, stride=2),
        nn.Conv2d(192, 192, 3, padding=(0, 1)),
        nn.Conv2d(64, 64, 3, padding=2),
        nn.Conv2d(64, 64, 3, padding=1, dilation=2),
    ],
)
def test_what_winograd_is_not_for(layer):
    module = nn.Sequential(PackedConv2d(layer, False))
    apply_winograd(module)
    assert isinstance(module[0], PackedConv2d)
