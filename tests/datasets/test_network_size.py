"""Sizes of frames on their way into the network, through the base config's pipeline and
preprocessor (spec case V18).
"""

from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

import mmvos.datasets
import mmvos.models  # noqa: F401 registers the parts
from mmvos.registry import MODELS

CONFIG = (
    Path(__file__).resolve().parents[2]
    / 'configs/masktrack_rcnn/masktrack-rcnn_r50_fpn_4xb8-12e_youtubevis2019.py'
)


@pytest.mark.parametrize(
    ('width', 'height', 'network', 'padded', 'scale'),
    [
        # each axis has its own factor: .50039 and .5
        (1275, 720, (360, 638), (384, 640), (638 / 1275, 0.5)),
        (480, 640, (480, 360), (480, 384), (0.75, 0.75)),
        (320, 180, (360, 640), (384, 640), (2.0, 2.0)),  # small frames are enlarged
    ],
)
def test_frames_fit_into_640_by_360_and_are_padded_to_32(width, height, network, padded, scale):
    init_default_scope('mmdet')
    config = Config.fromfile(CONFIG)
    steps = list(config.test_dataloader.dataset.pipeline)
    steps[0]['transforms'][0] = dict(type='LoadImageFromNDArray')
    frame = dict(
        img=[np.zeros((height, width, 3), dtype=np.uint8)],
        img_id=[0],
        frame_id=[0],
        video_id=[1],
        video_length=[1],
    )
    batch = MODELS.build(config.model.data_preprocessor)(
        pseudo_collate([Compose(steps)(frame)]), False
    )
    meta = batch['data_samples'][0][0].metainfo
    assert meta['img_shape'][:2] == network and meta['ori_shape'][:2] == (height, width)
    assert batch['inputs'].shape[-2:] == padded
    assert meta['scale_factor'] == pytest.approx(scale)
