"""Case 12 of the specification: the guide's convolution is a fourth input channel, and zero is no
guide at all.
"""

import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.backbones import ResNet
from torch import nn

from mmvos.models import GuidedResNet
from mmvos.optimize.fold_guide import fold_guide


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def guides():
    return torch.rand(2, 1, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


def randomised(**settings):
    torch.manual_seed(0)
    model = GuidedResNet(depth=18, **settings)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
    model.eval()
    return model


def test_without_guide_it_is_mmdets_resnet_bit_for_bit(images, guides):
    model = randomised()
    plain = ResNet(depth=18)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if 'guide' not in k})
    plain.eval()
    expected = plain(images)
    # the convolution starts at zero, also after init_weights()
    for guide in (None, torch.zeros_like(guides), guides):
        assert all(torch.equal(a, b) for a, b in zip(model(images, guide), expected, strict=True))


def test_guide_is_a_fourth_channel(images, guides):
    model = randomised(out_stem=True)
    nn.init.normal_(model.guide_conv.weight)
    stem = nn.Conv2d(4, 64, 7, stride=2, padding=3, bias=False)
    stem.weight.data = torch.cat([model.conv1.weight, model.guide_conv.weight], dim=1)
    expected = model.norm1(stem(torch.cat([images, guides], dim=1))).relu()
    torch.testing.assert_close(model(images, guides)[0], expected, atol=5e-6, rtol=1e-5)


def test_folding_batch_norms_keeps_the_numbers(images, guides):
    model = randomised(out_stem=True)
    nn.init.normal_(model.guide_conv.weight)
    before = model(images, guides)
    fold_guide(model)
    for a, b in zip(fuse_conv_bn(model)(images, guides), before, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_frozen_stages_leave_the_guide_trainable():
    model = GuidedResNet(depth=18, frozen_stages=1)
    model.train()
    assert model.guide_conv.weight.requires_grad and not model.conv1.weight.requires_grad


def test_deep_stem_is_refused():
    with pytest.raises(ValueError, match='deep_stem'):
        GuidedResNet(depth=18, deep_stem=True)
