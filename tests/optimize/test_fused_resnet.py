"""Residual blocks in which the sum is written over the shortcut."""

from __future__ import annotations

import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.backbones import ResNet
from torch import nn

from mmvos.optimize.fused_resnet import FusedBlock, fuse_resnet
from mmvos.optimize.packed_layers import can_pack
from mmvos.optimize.winograd import apply_winograd

pytestmark = pytest.mark.skipif(
    not can_pack(nn.Conv2d(1, 1, 1)), reason='this torch has no packed convolutions'
)


@pytest.mark.parametrize('depth', [18, 50])
@torch.no_grad()
def test_stages_give_the_same_and_leave_what_others_read(depth):
    torch.manual_seed(0)
    net = ResNet(depth, base_channels=16)
    net.eval()
    image = torch.randn(2, 3, 64, 80).contiguous(memory_format=torch.channels_last)
    expected = net(image)
    fuse_conv_bn(net)
    fuse_resnet(net, stem=True)
    blocks = [module for module in net.modules() if isinstance(module, FusedBlock)]
    assert len(blocks) == {18: 8, 50: 16}[depth]

    # The wide blocks of the smaller network go through Winograd's layers too.
    apply_winograd(net)
    found = net(image)
    for before, after in zip(expected, found, strict=True):
        torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)

    # The first block of each stage reads what the stage before gives.
    stages = [net.maxpool(net.relu(net.norm1(net.conv1(image)))), *found]
    for name, given in zip(net.res_layers, stages, strict=False):
        kept = given.clone()
        getattr(net, name)[0](given)
        assert torch.equal(given, kept)
