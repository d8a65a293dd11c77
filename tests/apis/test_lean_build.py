"""A detector that is built from its classes is the one that the registries build."""

from __future__ import annotations

from typing import Any

import torch
from command import ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvos.apis.lean_build import MODELS as OUR_MODELS
from mmvos.apis.lean_build import build_lean
from mmvos.registry import MODELS

CONFIG = ROOT / 'configs/masktrack_rcnn/masktrack-rcnn_lite0_fpn.py'


def build(config: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS.build(config)


def test_a_detector_has_the_same_parts_weights_and_training() -> None:
    config = Config.fromfile(CONFIG).model
    before = config.to_dict()
    lean = build_lean(config, OUR_MODELS, build)
    assert lean is not None and config.to_dict() == before
    init_default_scope('mmdet')
    general = build(config)
    assert repr(lean) == repr(general)
    for ours, theirs in zip(lean.modules(), general.modules(), strict=True):
        assert type(ours) is type(theirs)
    for name, value in general.state_dict().items():
        assert torch.equal(lean.state_dict()[name], value), name

    # What is no module: how boxes are assigned, sampled and encoded, and where anchors are.
    for part in ('rpn_head', 'roi_head'):
        ours, theirs = getattr(lean.detector, part), getattr(general.detector, part)
        for name in ('assigner', 'sampler', 'bbox_assigner', 'bbox_sampler', 'prior_generator'):
            assert type(getattr(ours, name, None)) is type(getattr(theirs, name, None))
    ours, theirs = lean.detector.roi_head, general.detector.roi_head
    calculators = (ours.bbox_assigner.iou_calculator, theirs.bbox_assigner.iou_calculator)
    assert type(calculators[0]) is type(calculators[1])
    assert vars(ours.bbox_head.bbox_coder) == vars(theirs.bbox_head.bbox_coder)


def test_a_detector_with_an_unknown_part_is_left_to_the_registries() -> None:
    config = Config.fromfile(CONFIG).model
    config.detector.train_cfg.rcnn.sampler.type = 'OHEMSampler'
    built: list[Any] = []
    assert build_lean(config, OUR_MODELS, built.append) is None
    assert built == []
