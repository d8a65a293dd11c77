"""fold_guide: a guided backbone gives the same features after its norms are folded."""

from __future__ import annotations

import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn

from mmvos.models import GuidedEfficientNetLite, GuidedResNet
from mmvos.optimize import fold_guide


def randomize(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean, std=0.1)
    nn.init.normal_(model.guide_conv.weight, std=0.1)
    model.eval()  # mmdet's ResNet returns nothing here
    return model


@pytest.mark.parametrize(
    'make',
    [
        lambda: GuidedEfficientNetLite(guide_channels=1),
        lambda: GuidedResNet(depth=18, out_indices=(0, 1, 2, 3)),
    ],
    ids=['lite', 'resnet'],
)
def test_features_stay_the_same(make) -> None:
    model = randomize(make())
    image, guide = torch.randn(1, 3, 64, 64), torch.randn(1, 1, 64, 64)
    before = model(image, guide)
    fold_guide(model)
    fuse_conv_bn(model)
    after = model(image, guide)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=1e-3, atol=1e-3 * old.abs().max().item())
