"""SiameseEfficientNet: sizes and places of its cells, and what of it is trained."""

from __future__ import annotations

import pytest
import torch

from mmvos.models import SiameseEfficientNet
from mmvos.models.siammask.siamese_efficientnet import _at_stride_8

SIZES = {127: (61, 31, 15, 15), 143: (69, 35, 17, 17), 255: (125, 63, 31, 31)}


@pytest.fixture(scope='module')
def net() -> SiameseEfficientNet:
    torch.manual_seed(0)
    return SiameseEfficientNet().eval()


@pytest.mark.parametrize('size', SIZES)
def test_sizes_are_those_of_the_published_backbone(net, size):
    with torch.no_grad():
        levels = net(torch.zeros(1, 3, size, size))
    assert [level.shape[2:] for level in levels] == [(n, n) for n in SIZES[size]]
    assert [level.shape[1] for level in levels] == [16, 24, 40, 152]


@pytest.mark.parametrize(('level', 'cell', 'pixel'), [(0, 30, 63), (1, 15, 63), (2, 15, 127)])
def test_cells_lie_where_siammask_has_them(level, cell, pixel):
    """What a cell sees is centered at 2 i + 3, 4 j + 3 and 8 m + 7."""
    torch.manual_seed(0)
    net = SiameseEfficientNet().eval()
    for name, parameter in net.named_parameters():
        if 'norm' not in name:
            parameter.data.abs_()  # so that no influence is cut off by a rectifier
            parameter.data *= 0.2  # and none by its upper bound
    image = torch.full((1, 3, 255, 255), 130.0).requires_grad_()
    net(image)[level][0, :, cell, cell].sum().backward()
    assert image.grad is not None
    seen = image.grad.abs().sum(dim=(0, 1)).nonzero()
    assert (seen.min(dim=0).values + seen.max(dim=0).values).tolist() == [2 * pixel, 2 * pixel]


def test_cells_of_stride_16_are_spread_to_those_of_stride_8():
    """Cell q lies on pixel 16 q + 15, which is cell 2 q + 1 of stride 8; cell 2 lies between cells
    0 (pixel 15) and 1 (pixel 31), on pixel 23.
    """
    features = torch.tensor([10.0, 20.0, 40.0]).expand(1, 1, 3, 3)
    row = _at_stride_8(features)[0, 0, 2]
    assert row.tolist() == pytest.approx([10, 10, 15, 20, 30])


def test_images_are_bgr_of_0_to_255(net):
    """The released network takes RGB, (x - 127) / 128."""
    image = torch.randint(0, 256, (1, 3, 127, 127)).float()
    padded = torch.nn.functional.pad((image.flip(1) - 127) / 128, (0, 1, 0, 1), mode='replicate')
    with torch.no_grad():
        expected = super(SiameseEfficientNet, net).forward(padded)
        given = net(image)
    torch.testing.assert_close(given[2], expected[2][:, :, :15, :15])


def test_stem_and_first_stages_are_not_trained():
    net = SiameseEfficientNet()
    assert not net.stem_conv.weight.requires_grad
    stages = [name for name, p in net.named_parameters() if p.requires_grad]
    assert {name.split('.')[1] for name in stages} == {'2', '3', '4'}
