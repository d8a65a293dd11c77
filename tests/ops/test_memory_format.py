"""Channels-last models with mmcv's compiled ops, which read memory as if it were channels-first."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmcv.ops import ModulatedDeformConv2dPack, RoIAlign
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from tiny_masktrack import tiny_config
from torch import Tensor, nn

from mmvos.ops.memory_format import to_channels_last
from mmvos.optimize import optimize

ROIS = torch.tensor([[0, 3.0, 4.0, 100.0, 90.0], [1, 10.0, 20.0, 200.0, 120.0]])


class Regions(nn.Module):
    """A convolution whose features one of mmcv's ops is given, after it what else it takes."""

    def __init__(self, layer: nn.Module, *others: Tensor) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.layer = layer
        self.others = others

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(self.conv(images), *self.others)


@pytest.mark.parametrize('op', ['mean of regions', 'largest of regions', 'deformable'])
def test_compiled_ops_give_the_same_numbers(op: str) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 20, 30)
    if op == 'deformable':
        model = Regions(ModulatedDeformConv2dPack(8, 4, 3, padding=1))
    else:
        pool_mode = 'avg' if op == 'mean of regions' else 'max'
        model = Regions(RoIAlign(7, 1 / 8, pool_mode=pool_mode), ROIS)
    expected = model(images)
    expected.square().sum().backward()
    grad = model.conv.weight.grad.clone()

    # twice, as models are that are made fast, and copied
    to_channels_last(model)
    to_channels_last(model)
    model = copy.deepcopy(model)
    model.zero_grad()
    assert model.conv(images).is_contiguous(memory_format=torch.channels_last)
    found = model(images)
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    torch.testing.assert_close(model.conv.weight.grad, grad, atol=1e-4, rtol=1e-4)
    assert len(model.layer._forward_pre_hooks) == 1


def region_features(model: Any, image: Tensor) -> Tensor:
    """What the box head is given of two regions."""
    levels = model.detector.extract_feat(image)
    return model.detector.roi_head.bbox_roi_extractor(
        levels[:4], ROIS * torch.tensor([0, 1, 1, 1, 1])
    )


@torch.no_grad()
@pytest.mark.parametrize('extractor', ['mmvos.PyramidRoIExtractor', 'SingleRoIExtractor'])
def test_models_with_the_adaptive_sampling_of_mmdet(extractor: str) -> None:
    init_default_scope('mmdet')
    config = tiny_config().model
    config.detector.roi_head.bbox_roi_extractor.update(type=extractor)
    config.detector.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio = 0
    models = {}
    for channels_last in (False, True):
        torch.manual_seed(0)
        config.channels_last = channels_last
        models[channels_last] = MODELS.build(config).eval()
    models[True].load_state_dict(models[False].state_dict())

    image = torch.randn(1, 3, 128, 128)
    expected = region_features(models[False], image)
    assert expected.std() > 0.01
    torch.testing.assert_close(region_features(models[True], image), expected, atol=1e-4, rtol=1e-3)
    # inference makes every model channels-last
    fast = region_features(optimize(models[False]), image)
    torch.testing.assert_close(fast, expected, atol=1e-3, rtol=1e-2)
