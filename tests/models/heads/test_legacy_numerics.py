"""What the published MaskTrack R-CNN was trained with: RoIs, suppression, anchors."""
from __future__ import annotations

import math

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from tiny_masktrack import CONFIGS

from mmvos.models import LegacyBBoxHead, LegacyRoIExtractor
from mmvos.models.heads.legacy_numerics import LegacyBoxCoder
from mmvos.registry import MODELS

OFFICIAL = CONFIGS / 'masktrack_rcnn/masktrack-rcnn_r50_fpn_official.py'


def test_regions_end_one_pixel_later_and_begin_at_the_middle_of_the_first_cell():
    """On a map whose value is its column, cell i of a box [x1, x2] at stride s has x1 / s + (i + .5) (x2 + 1 - x1) / (7 s)."""
    extractor = LegacyRoIExtractor(roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2), out_channels=1,
                                   featmap_strides=[4, 8])
    maps = [torch.arange(200.).expand(1, 1, 200, 200), torch.arange(100.).expand(1, 1, 100, 100)]
    boxes = torch.tensor([[0, 20.0, 16.0, 75.0, 71.0], [0, 40.0, 16.0, 300.0, 240.0], [0, 33.0, 16.0, 33.0, 16.0]])
    found = extractor(tuple(maps), boxes)
    for cells, (x1, x2, stride) in zip(found, [(20, 75, 4), (40, 300, 8), (33, 33, 4)], strict=True):
        expected = x1 / stride + (torch.arange(7) + 0.5) * (x2 + 1 - x1) / (7 * stride)
        torch.testing.assert_close(cells[0, 3], expected, atol=1e-4, rtol=1e-5)


def test_level_of_a_region_is_chosen_by_its_inclusive_size():
    """A side of 111 pixels, inclusive 112, is just large enough for the second level (56 * 2)."""
    extractor = LegacyRoIExtractor(roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2), out_channels=1,
                                   featmap_strides=[4, 8])
    rois = torch.tensor([[0, 0.0, 0.0, 111.0, 111.0], [0, 0.0, 0.0, 110.9, 110.9]])
    assert extractor.map_roi_levels(rois, 2).tolist() == [1, 0]


def test_suppression_sees_original_pixels():
    """At scale 2: original boxes [0, 0, 3, 9] and [1, 0, 4, 9] (x2 inclusive) share 3 of 5 columns, IoU .6; network boxes
    [0, 0, 6, 18] and [2, 0, 8, 18] share 5 of 9 columns, IoU .556. A threshold of .58 tells the two apart.
    """
    init_default_scope('mmdet')
    head = LegacyBBoxHead(num_classes=1, in_channels=1, fc_out_channels=4, roi_feat_size=1, reg_class_agnostic=True,
                          bbox_coder=dict(type='mmvos.LegacyBoxCoder', target_means=[0.] * 4, target_stds=[1.] * 4))
    rois = torch.tensor([[0, 0.0, 0.0, 6.0, 18.0], [0, 2.0, 0.0, 8.0, 18.0]])
    logits = torch.tensor([[3.0, 0.0], [2.0, 0.0]])
    config = ConfigDict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.58, offset=1), max_per_img=10)
    meta = dict(img_shape=(100, 100), scale_factor=(2.0, 2.0))
    found = head._predict_by_feat_single(rois, logits, torch.zeros(2, 4), meta, False, config)
    assert found.bboxes.tolist() == [[0, 0, 6, 18]] and found.labels.tolist() == [0]
    assert found.scores.item() == pytest.approx(0.952574, abs=1e-5)
    meta['scale_factor'] = (1.0, 1.0)
    assert len(head._predict_by_feat_single(rois, logits, torch.zeros(2, 4), meta, False, config)) == 2
    assert len(head._predict_by_feat_single(rois[:0], logits[:0], torch.zeros(0, 4), meta, False, config)) == 0


def test_decoding_is_the_inverse_of_encoding():
    """No change keeps a box; a width of 10 inclusive pixels doubled about its middle 4.5 reaches from -5 to 14."""
    coder = LegacyBoxCoder(target_means=[0.] * 4, target_stds=[1.] * 4)
    boxes = torch.tensor([[0.0, 2.0, 9.0, 21.0], [3.0, 3.0, 3.0, 3.0]])
    assert coder.decode(boxes, torch.zeros(2, 4)).tolist() == boxes.tolist()
    other = torch.tensor([[1.0, 0.0, 7.0, 30.0], [2.0, 3.0, 9.0, 5.0]])
    torch.testing.assert_close(coder.decode(boxes, coder.encode(boxes, other)), other)
    wider = torch.tensor([[0.0, 0.0, math.log(2), 0.0]])
    torch.testing.assert_close(coder.decode(boxes[:1], wider), torch.tensor([[-5.0, 2.0, 14.0, 21.0]]))
    torch.testing.assert_close(coder.decode(boxes[:1], wider, (20, 12)), torch.tensor([[0.0, 2.0, 11.0, 19.0]]))


def test_anchors_of_the_official_config():
    """V11, stride 4."""
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(OFFICIAL).model)
    anchors = model.detector.rpn_head.prior_generator.base_anchors[0]
    assert anchors.tolist() == [[-21, -9, 24, 12], [-14, -14, 17, 17], [-9, -21, 12, 24]]
    assert model.detector.test_cfg.rpn.nms.offset == model.detector.test_cfg.rcnn.nms.offset == 1
    assert not model.track_head.relu_after_last
