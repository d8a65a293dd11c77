"""Every shipped config: it loads, its model builds, trains one step and tests one frame; and its parts agree with each other.

Steps are made on synthetic frames of 64 x 64 pixels, so no data set is needed.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from tiny_masktrack import CONFIGS, batch, frame, two_objects

from mmvos.models import VideoModel
from mmvos.registry import MODELS

NAMES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts)
CLASSES_BY_DATA_SET = {'2019': 40, '2021': 40, 'ovis': 25}


def load(name: str) -> Config:
    init_default_scope('mmdet')
    return Config.fromfile(CONFIGS / name)


def masktrack_steps(model: VideoModel, wrapper: Any) -> None:
    torch.manual_seed(0)
    before = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
    losses = model.train_step(batch(two_objects(0), two_objects(1)), wrapper)
    assert all(torch.isfinite(value).all() for value in losses.values())
    changed = [name for name, value in model.named_parameters() if name in before and not torch.equal(value, before[name])]
    for part in ('backbone', 'neck', 'rpn_head', 'bbox_head', 'mask_head', 'track_head'):
        assert any(part in name for name in changed), part
    model.eval()
    result, = model.run([frame(0)])
    assert len(result.objects) <= model.detector.test_cfg.rcnn.max_per_img and result.shape == (32, 32)


STEPS: dict[str, Callable[[VideoModel, Any], None]] = {'mmvos.MaskTrackRCNN': masktrack_steps}


def test_there_are_configs():
    assert 'masktrack_rcnn/masktrack-rcnn_r18_fpn_sample.py' in NAMES


@pytest.mark.parametrize('name', NAMES)
def test_model_trains_one_step_and_tests_one_frame(name):
    config = load(name)
    torch.manual_seed(0)
    model = MODELS.build(config.model)  # no init_weights: nothing is downloaded
    settings = config.optim_wrapper.to_dict()
    settings['optimizer']['lr'] = 1e-4  # without a warm-up
    STEPS[config.model.type](model.train(), build_optim_wrapper(model, settings))


@pytest.mark.parametrize('name', NAMES)
def test_parts_agree(name):
    config = load(name)
    for split in ('train', 'val', 'test'):
        data = config[f'{split}_dataloader'].dataset
        Compose(data.pipeline)
        assert bool(data.get('test_mode')) == (split != 'train')
        if split != 'train':
            assert Path(config[f'{split}_evaluator'].ann_file) == Path(data.data_root, data.ann_file)
            assert config[f'{split}_dataloader'].batch_size == 1
    heads = config.model.detector.roi_head
    counts = {heads.bbox_head.num_classes, heads.mask_head.num_classes}
    expected = {count for data_set, count in CLASSES_BY_DATA_SET.items() if data_set in name}
    assert len(counts) == 1 and (not expected or counts == expected)
    # Validation gives the number that the best checkpoint is chosen by.
    assert config.default_hooks.checkpoint.save_best == 'youtube_vis/AP'
    assert config.train_cfg.val_interval <= config.train_cfg.max_epochs
