"""Conversion of the published MaskTrack R-CNN: every tensor, synthesised with its name and shape,
and the order of classes.
"""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_masktrack import CONFIGS

from mmvos.apis.published_checkpoints import convert_weights
from mmvos.registry import MODELS

NORM = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')


def published() -> dict[str, torch.Tensor]:
    """The file's tensors, filled with row numbers."""
    shapes = {'backbone.conv1.weight': (64, 3, 7, 7)}
    norms = {'backbone.bn1': 64}
    channels = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for b in range(blocks):
            name = f'backbone.layer{stage}.{b}'
            for i, (out, given, side) in enumerate(
                ((width, channels, 1), (width, width, 3), (4 * width, width, 1)), 1
            ):
                shapes[f'{name}.conv{i}.weight'] = (out, given, side, side)
                norms[f'{name}.bn{i}'] = out
            if b == 0:
                shapes[f'{name}.downsample.0.weight'] = (4 * width, channels, 1, 1)
                norms[f'{name}.downsample.1'] = 4 * width
            channels = 4 * width
    for i, channels in enumerate((256, 512, 1024, 2048)):
        shapes |= {
            f'neck.lateral_convs.{i}.conv.weight': (256, channels, 1, 1),
            f'neck.fpn_convs.{i}.conv.weight': (256, 256, 3, 3),
            f'mask_head.convs.{i}.conv.weight': (256, 256, 3, 3),
        }
    shapes |= {
        'rpn_head.rpn_conv.weight': (256, 256, 3, 3),
        'rpn_head.rpn_cls.weight': (3, 256, 1, 1),
        'rpn_head.rpn_reg.weight': (12, 256, 1, 1),
        'bbox_head.shared_fcs.0.weight': (1024, 12544),
        'bbox_head.shared_fcs.1.weight': (1024, 1024),
        'bbox_head.fc_cls.weight': (41, 1024),
        'bbox_head.fc_reg.weight': (164, 1024),
        'mask_head.upsample.weight': (256, 256, 2, 2),
        'mask_head.conv_logits.weight': (41, 256, 1, 1),
        'track_head.fcs.0.weight': (1024, 12544),
        'track_head.fcs.1.weight': (1024, 1024),
    }
    shapes |= {
        name.replace('.weight', '.bias'): shape[:1]
        for name, shape in shapes.items()
        if not name.startswith('backbone')
    }
    shapes |= {
        f'{norm}.{name}': () if name == NORM[-1] else (size,)
        for norm, size in norms.items()
        for name in NORM
    }
    return {
        name: torch.arange(shape[0] if shape else 1)
        .view(-1, *[1] * (len(shape) - 1))
        .expand(shape)
        .float()
        if shape
        else torch.tensor(0)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope='module')
def own() -> dict[str, torch.Tensor]:
    init_default_scope('mmdet')
    return MODELS.build(
        Config.fromfile(CONFIGS / 'masktrack_rcnn/masktrack-rcnn_r50_fpn_official.py').model
    ).state_dict()


def test_every_tensor_finds_its_place(own):
    given = published()
    assert len(given) == 364 and len([name for name in given if 'tracked' not in name]) == 311
    converted = convert_weights(given, own, 'file')
    assert converted.kind == 'MaskTrack R-CNN' and set(converted.weights) == {
        n for n in own if not n.startswith('data_')
    }
    without = convert_weights(
        {name: t for name, t in given.items() if 'tracked' not in name}, own, 'file'
    )
    assert len(without.weights) == 311


def test_order_of_classes(own):
    """V17: fc_cls 0..40 -> 1..40, 0; fc_reg 0..163 -> 4..163; conv_logits 0..40 -> 1..40; the RPN's
    three anchors unchanged.
    """
    weights = convert_weights(published(), own, 'file').weights
    head, mask, rpn = (
        'detector.roi_head.bbox_head.',
        'detector.roi_head.mask_head.conv_logits.',
        'detector.rpn_head.rpn_cls.',
    )
    for kind in ('weight', 'bias'):
        rows = {
            name: weights[name + kind].flatten(1)[:, 0].tolist()
            if kind == 'weight'
            else weights[name + kind].tolist()
            for name in (head + 'fc_cls.', head + 'fc_reg.', mask, rpn)
        }
        assert rows == {
            head + 'fc_cls.': [*range(1, 41), 0],
            head + 'fc_reg.': [*range(4, 164)],
            mask: [*range(1, 41)],
            rpn: [0, 1, 2],
        }


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        ({'track_head.fc.weight': torch.zeros(1)}, 'withdrawn MaskTrack R-CNN of early 2019'),
        (
            {'track_head.embed_head.fcs.0.weight': torch.zeros(1)},
            'MaskTrackRCNN of mmtracking or mmdet 3',
        ),
        ({'track_head.extra': torch.zeros(1)}, r'does not know \(track_head.extra\)'),
        (
            {'bbox_head.fc_cls.bias': torch.zeros(82)},
            r'bbox_head.fc_cls.bias \(82,\) instead of \(41,\)',
        ),
    ],
)
def test_other_files_are_recognised(own, more, message):
    with pytest.raises(ValueError, match=message):
        convert_weights(published() | more, own, 'file')
