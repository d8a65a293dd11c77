"""SiameseResNet: sizes and places of its cells, and its weights against the published layout."""

from __future__ import annotations

import pytest
import torch
from mmcv.cnn import fuse_conv_bn

from mmvos.models import SiameseResNet
from mmvos.optimize.fused_resnet import FusedBlock, fuse_resnet

SIZES = {127: (61, 31, 15, 15), 143: (69, 35, 17, 17), 255: (125, 63, 31, 31)}


def build(training: bool = False, channels: int = 2, **settings: int) -> SiameseResNet:
    torch.manual_seed(0)
    net = SiameseResNet(base_channels=channels, stem_channels=channels, **settings)
    net.train(training)  # mmdet's returns nothing
    return net


@pytest.fixture
def narrow() -> SiameseResNet:
    return build()


@pytest.mark.parametrize('size', SIZES)
def test_sizes(narrow, size):
    with torch.no_grad():
        levels = narrow(torch.zeros(1, 3, size, size))
    assert [level.shape[2:] for level in levels] == [(n, n) for n in SIZES[size]]


@pytest.mark.parametrize(
    ('level', 'cell', 'pixel'), [(0, 60, 123), (1, 30, 123), (2, 15, 127), (3, 15, 127)]
)
def test_centre_of_a_cell(narrow, level, cell, pixel):
    """What a cell sees is centred at 2 i + 3, 4 j + 3 and, twice, 8 m + 7: the pixels with an
    influence on it.
    """
    for parameter in narrow.parameters():
        parameter.data.abs_()  # so that no influence is cut off by a rectifier, nor by the maximum
    narrow.maxpool = torch.nn.AvgPool2d(3, stride=2, padding=1)
    image = torch.rand(1, 3, 255, 255, requires_grad=True)
    narrow(image)[level][0, :, cell, cell].sum().backward()
    seen = image.grad.abs().sum(dim=(0, 1)).nonzero()
    assert (seen.min(dim=0).values + seen.max(dim=0).values).tolist() == [2 * pixel, 2 * pixel]


def test_published_layout():
    """258 tensors: stem 6, stages 60, 78 and 114; shortcuts of stages 2 and 3 are 3x3, nothing else
    is padded differently.
    """
    weights = SiameseResNet().state_dict()
    stages = [name.split('.')[0] for name in weights]
    assert [stages.count(stage) for stage in ('conv1', 'bn1', 'layer1', 'layer2', 'layer3')] == [
        1,
        5,
        60,
        78,
        114,
    ]
    shapes = {
        'conv1.weight': (64, 3, 7, 7),
        'layer1.0.downsample.0.weight': (256, 64, 1, 1),
        'layer2.0.downsample.0.weight': (512, 256, 3, 3),
        'layer3.0.downsample.0.weight': (1024, 512, 3, 3),
    }
    assert {name: tuple(weights[name].shape) for name in shapes} == shapes


def test_dilations_and_paddings():
    net = build()
    found = {
        f'{stage}.{i}': (block.conv2.stride[0], block.conv2.padding[0], block.conv2.dilation[0])
        for stage in ('layer1', 'layer2', 'layer3')
        for i, block in enumerate(getattr(net, stage))
    }
    expected = {f'layer1.{i}': (1, 1, 1) for i in range(3)} | {
        f'layer2.{i}': (1, 1, 1) for i in range(4)
    }
    expected |= {'layer2.0': (2, 0, 1), 'layer3.0': (1, 1, 1)} | {
        f'layer3.{i}': (1, 2, 2) for i in range(1, 6)
    }
    assert found == expected


@pytest.mark.parametrize(('frozen', 'trained'), [(1, {'layer2', 'layer3'}), (3, set())])
def test_frozen_stages(frozen, trained):
    net = build(training=True, frozen_stages=frozen)
    assert {
        name.split('.')[0] for name, weight in net.named_parameters() if weight.requires_grad
    } == trained
    assert not net.layer2[0].downsample[1].training  # statistics stay as they are


def test_fused_blocks_give_the_same():
    net = build(channels=8)
    image = torch.rand(1, 3, 63, 63) * 255
    with torch.no_grad():
        expected = net(image)
        fuse_resnet(fuse_conv_bn(net), stem=True)
        found = net(image)
    assert any(isinstance(module, FusedBlock) for module in net.modules())
    for before, after in zip(expected, found):
        torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
