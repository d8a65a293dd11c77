"""Packed convolutions against torch's own, with rectifier and residual sum."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmvos.optimize.packed_layers import PackedConv2d, can_pack, pack_convolutions

GEOMETRIES = {
    '1 x 1': dict(in_channels=8, out_channels=12, kernel_size=1),
    '3 x 3': dict(in_channels=8, out_channels=8, kernel_size=3, padding=1),
    'stride 2 without bias': dict(
        in_channels=8, out_channels=4, kernel_size=3, padding=1, stride=2, bias=False
    ),
    'dilated, in groups': dict(
        in_channels=8, out_channels=8, kernel_size=3, padding=2, dilation=2, groups=4
    ),
}
pytestmark = pytest.mark.skipif(
    not can_pack(nn.Conv2d(1, 1, 1)), reason='this torch has no packed convolutions'
)


@pytest.mark.parametrize('geometry', GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize('relu', [False, True])
@torch.no_grad()
def test_equals_convolution_sum_and_rectifier(geometry, relu):
    torch.manual_seed(0)
    layer = nn.Conv2d(**geometry)
    packed = PackedConv2d(layer, relu=relu)
    for size in ((9, 12), (20, 7)):  # the order of the weights is chosen at the first size
        x = torch.randn(2, 8, *size).contiguous(memory_format=torch.channels_last)
        plain = layer(x)
        residual = torch.randn_like(plain)
        before = residual.clone()
        for expected, found in ((plain, packed(x)), (plain + residual, packed(x, residual))):
            torch.testing.assert_close(
                found, F.relu(expected) if relu else expected, atol=1e-5, rtol=1e-4
            )
        assert torch.equal(residual, before)

        # The same sum, in the memory of the residual.
        place = before.clone(memory_format=torch.channels_last)
        written = packed.add_to(place, x)
        assert written.data_ptr() == place.data_ptr()
        torch.testing.assert_close(written, packed(x, residual))


@torch.no_grad()
def test_bfloat16_is_taken_where_the_cpu_has_it(monkeypatch):
    layer = nn.Conv2d(8, 8, 3, padding=1).to(torch.bfloat16)
    if can_pack(layer):
        x = torch.randn(1, 8, 6, 6)
        found = PackedConv2d(layer, relu=False)(x)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(
            found.float(), layer.float()(x.bfloat16().float()), atol=0.03, rtol=0.03
        )
    monkeypatch.setattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported', lambda: False)
    assert not can_pack(nn.Conv2d(8, 8, 1).to(torch.bfloat16)) and can_pack(nn.Conv2d(8, 8, 1))


@pytest.mark.parametrize(
    'layer',
    [
        nn.Conv2d(1, 1, 3, padding=1, padding_mode='reflect'),
        nn.Conv2d(1, 1, 3, padding='same'),
        nn.Conv2d(1, 1, 1).half(),
        nn.Linear(1, 1),
        nn.Conv2d(1, 1, 1, device='meta'),
    ],
)
def test_what_cannot_be_packed(layer):
    assert not can_pack(layer)


@torch.no_grad()
def test_the_weight_is_packed_anew_only_for_a_size_that_comes_twice_in_a_row(monkeypatch):
    packed = PackedConv2d(nn.Conv2d(8, 8, 3), relu=False)
    sizes = []
    pack = packed._pack
    monkeypatch.setattr(packed, '_pack', lambda size: (sizes.append(size[2]), pack(size)))
    for size in (7, 15, 15, 15, 7, 15, 7, 7):
        packed(torch.randn(1, 8, size, size))
    assert sizes == [7, 15, 7]


@torch.no_grad()
def test_all_convolutions_of_a_module_are_packed_with_the_rectifiers_after_them():
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3)
            self.relu = nn.ReLU()  # not in a Sequential: when it is called is not known
            self.rest = nn.Sequential(
                nn.Conv2d(4, 4, 1),
                nn.Identity(),
                nn.ReLU(inplace=True),
                nn.Conv2d(4, 2, 1),
                nn.Sigmoid(),
            )

        def forward(self, x):
            return self.rest(self.first(x))

    torch.manual_seed(0)
    module, x = Module(), torch.randn(2, 3, 6, 5)
    plain = module(x)
    pack_convolutions(module)
    torch.testing.assert_close(module(x), plain)
    assert [layer.relu for layer in module.modules() if isinstance(layer, PackedConv2d)] == [
        False,
        True,
        False,
    ]
    assert isinstance(module.relu, nn.ReLU) and isinstance(module.rest[2], nn.Identity)
