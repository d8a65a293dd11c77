"""What the published MaskTrack R-CNN was trained with: RoIs, suppression, anchors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny_masktrack import CONFIGS

from mmvos.datasets.transforms import ScalarResize
from mmvos.models import LegacyBBoxHead, LegacyRoIExtractor
from mmvos.models.masktrack_rcnn.mmdet05_compat import (
    LegacyBoxCoder,
    LegacyRPNHead,
    continuous_boxes,
    legacy_paste,
    separate_nms,
)
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameMeta
from mmvos.structures.rle import decode

OFFICIAL = CONFIGS / 'masktrack_rcnn/masktrack-rcnn_r50_fpn_official.py'


def test_regions_end_one_pixel_later_and_begin_at_the_middle_of_the_first_cell():
    """On a map whose value is its column, cell i of a box [x1, x2] at stride s has x1 / s + (i +
    .5) (x2 + 1 - x1) / (7 s).
    """
    extractor = LegacyRoIExtractor(
        roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2),
        out_channels=1,
        featmap_strides=[4, 8],
    )
    maps = [torch.arange(200.0).expand(1, 1, 200, 200), torch.arange(100.0).expand(1, 1, 100, 100)]
    boxes = torch.tensor(
        [[0, 20.0, 16.0, 75.0, 71.0], [0, 40.0, 16.0, 300.0, 240.0], [0, 33.0, 16.0, 33.0, 16.0]]
    )
    found = extractor(tuple(maps), boxes)
    for cells, (x1, x2, stride) in zip(
        found, [(20, 75, 4), (40, 300, 8), (33, 33, 4)], strict=True
    ):
        expected = x1 / stride + (torch.arange(7) + 0.5) * (x2 + 1 - x1) / (7 * stride)
        torch.testing.assert_close(cells[0, 3], expected, atol=1e-4, rtol=1e-5)


def test_level_of_a_region_is_chosen_by_its_inclusive_size():
    """A side of 111 pixels, inclusive 112, is just large enough for the second level (56 * 2)."""
    extractor = LegacyRoIExtractor(
        roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2),
        out_channels=1,
        featmap_strides=[4, 8],
    )
    rois = torch.tensor([[0, 0.0, 0.0, 111.0, 111.0], [0, 0.0, 0.0, 110.9, 110.9]])
    assert extractor.map_roi_levels(rois, 2).tolist() == [1, 0]


def test_suppression_sees_original_pixels():
    """At scale 2: original boxes [0, 0, 3, 9] and [1, 0, 4, 9] (x2 inclusive) share 3 of 5 columns,
    IoU .6; network boxes [0, 0, 6, 18] and [2, 0, 8, 18] share 5 of 9 columns, IoU .556. A
    threshold of .58 tells the two apart.
    """
    init_default_scope('mmdet')
    head = LegacyBBoxHead(
        num_classes=1,
        in_channels=1,
        fc_out_channels=4,
        roi_feat_size=1,
        reg_class_agnostic=True,
        bbox_coder=dict(type='mmvos.LegacyBoxCoder', target_means=[0.0] * 4, target_stds=[1.0] * 4),
    )
    rois = torch.tensor([[0, 0.0, 0.0, 6.0, 18.0], [0, 2.0, 0.0, 8.0, 18.0]])
    logits = torch.tensor([[3.0, 0.0], [2.0, 0.0]])
    config = ConfigDict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.58), max_per_img=10)
    meta = dict(img_shape=(100, 100), scale_factor=(2.0, 2.0))
    found = head._predict_by_feat_single(rois, logits, torch.zeros(2, 4), meta, False, config)
    assert found.bboxes.tolist() == [[0, 0, 6, 18]] and found.labels.tolist() == [0]
    assert found.scores.item() == pytest.approx(0.952574, abs=1e-5)
    meta['scale_factor'] = (1.0, 1.0)
    assert (
        len(head._predict_by_feat_single(rois, logits, torch.zeros(2, 4), meta, False, config)) == 2
    )
    assert (
        len(
            head._predict_by_feat_single(
                rois[:0], logits[:0], torch.zeros(0, 4), meta, False, config
            )
        )
        == 0
    )


def test_decoding_is_the_inverse_of_encoding():
    """No change keeps a box; a width of 10 inclusive pixels doubled about its middle 4.5 reaches
    from -5 to 14.
    """
    coder = LegacyBoxCoder(target_means=[0.0] * 4, target_stds=[1.0] * 4)
    boxes = torch.tensor([[0.0, 2.0, 9.0, 21.0], [3.0, 3.0, 3.0, 3.0]])
    assert coder.decode(boxes, torch.zeros(2, 4)).tolist() == boxes.tolist()
    other = torch.tensor([[1.0, 0.0, 7.0, 30.0], [2.0, 3.0, 9.0, 5.0]])
    torch.testing.assert_close(coder.decode(boxes, coder.encode(boxes, other)), other)
    wider = torch.tensor([[0.0, 0.0, math.log(2), 0.0]])
    torch.testing.assert_close(
        coder.decode(boxes[:1], wider), torch.tensor([[-5.0, 2.0, 14.0, 21.0]])
    )
    torch.testing.assert_close(
        coder.decode(boxes[:1], wider, (20, 12)), torch.tensor([[0.0, 2.0, 11.0, 19.0]])
    )


def test_suppression_does_not_cross_groups_and_keeps_their_order():
    """Boxes 0 and 1 share 9 of 11 inclusive columns; 2 is the same box in another group, 3 and 4
    overlap by 5 of 15 columns.
    """
    boxes = torch.tensor(
        [[0.0, 0, 9, 9], [1, 0, 10, 9], [0, 0, 9, 9], [20, 0, 29, 9], [25, 0, 34, 9]]
    )
    scores = torch.tensor([0.5, 0.9, 0.7, 0.8, 0.6])
    groups = torch.tensor([7, 7, 2, 2, 2])
    assert separate_nms(boxes, scores, groups, 0.7).tolist() == [3, 2, 4, 1]
    assert separate_nms(boxes, scores, groups, 0.32).tolist() == [3, 2, 1]
    assert separate_nms(boxes[:0], scores[:0], groups[:0], 0.7).tolist() == []


def test_suppression_far_from_the_origin_is_exact():
    """In class 39 of 40, at 1280 pixels, mmdet shifts by 5e4, where float32 has steps of .004: an
    overlap at the threshold moves.

    Of [0, 0, 99.001, 9] and [40, 0, 99.001, 9] the first is wider, the second is 60.001 / 100.001 =
    .60000 of it.
    """
    boxes = torch.tensor([[0.0, 0, 99.001, 9], [40.0, 0, 99.001, 9]]) + torch.tensor(
        [1180.0, 0, 1180.0, 0]
    )
    scores = torch.tensor([0.9, 0.8])
    for group in (0, 39):
        groups = torch.full((2,), group)
        assert separate_nms(boxes, scores, groups, 0.6).tolist() == [0]
        assert separate_nms(boxes, scores, groups, 0.6001).tolist() == [0, 1]


def test_few_detections_stand_by_class_and_many_by_score():
    init_default_scope('mmdet')
    head = LegacyBBoxHead(
        num_classes=2,
        in_channels=1,
        fc_out_channels=4,
        roi_feat_size=1,
        reg_class_agnostic=True,
        bbox_coder=dict(type='mmvos.LegacyBoxCoder', target_means=[0.0] * 4, target_stds=[1.0] * 4),
    )
    rois = torch.tensor(
        [[0, 0.0, 0.0, 6.0, 18.0], [0, 30.0, 0.0, 36.0, 18.0], [0, 60.0, 0.0, 66.0, 18.0]]
    )
    logits = torch.tensor([[0.0, 9.0, 0.0], [7.0, 0.0, 0.0], [8.0, 0.0, 0.0]])
    meta = dict(img_shape=(100, 100), scale_factor=(1.0, 1.0))
    for most, places in ((3, [60, 30, 0]), (2, [0, 60])):
        config = ConfigDict(
            score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=most
        )
        found = head._predict_by_feat_single(rois, logits, torch.zeros(3, 4), meta, False, config)
        assert found.bboxes[:, 0].tolist() == places and found.labels.tolist() == [
            int(x == 0) for x in places
        ]


def test_proposals_of_each_level_are_suppressed_apart():
    init_default_scope('mmdet')
    anchors = dict(type='LegacyAnchorGenerator', strides=[4, 8], ratios=[1.0], scales=[8])
    head = LegacyRPNHead(in_channels=1, anchor_generator=anchors)
    found = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 9, 9], [1, 0, 10, 9], [0, 0, 9, 9]]),
        scores=torch.tensor([0.5, 0.9, 0.7]),
        level_ids=torch.tensor([0, 0, 1]),
    )
    config = ConfigDict(nms=dict(iou_threshold=0.7), max_per_img=200)
    kept = head._bbox_post_process(found, config, img_meta={})
    assert kept.scores.tolist() == pytest.approx([0.9, 0.7]) and kept.labels.tolist() == [0, 0]
    assert len(head._bbox_post_process(found, ConfigDict(config, max_per_img=1))) == 1
    assert len(head._bbox_post_process(found[:0], config)) == 0


def test_overlaps_of_continuous_boxes_are_inclusive():
    """[0, 0, 9, 9] and [5, 0, 14, 9] share 5 of 15 columns: 1/3, where the corners alone give 4 /
    14.
    """
    boxes = continuous_boxes(torch.tensor([[0.0, 0, 9, 9], [5, 0, 14, 9]]))
    assert boxes.tolist() == [[0, 0, 10, 10], [5, 0, 15, 10]]


def test_a_mask_is_pasted_into_the_whole_pixels_of_its_box():
    """Corners 2.9, 3.2, 5.9, 6.99 are pixels 2 to 5 and 3 to 6; columns 0, 1 become 0, .25, .75, 1
    (cv2, linear).
    """
    ramp = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    pasted = decode(legacy_paste(ramp, torch.tensor([2.9, 3.2, 5.9, 6.99]), (8, 10), 0.5))
    rows, columns = np.nonzero(pasted)
    assert (
        set(rows.tolist()) == {3, 4, 5, 6} and set(columns.tolist()) == {4, 5} and pasted.sum() == 8
    )
    full = decode(legacy_paste(ramp * 0 + 0.5001, torch.tensor([0.0, 0.0, 0.4, 0.9]), (8, 10), 0.5))
    assert full.sum() == 1 and full[0, 0]  # less than a pixel is one
    # at the threshold
    assert not decode(
        legacy_paste(ramp * 0 + 0.5, torch.tensor([0.0, 0.0, 5.0, 5.0]), (8, 10), 0.5)
    ).any()


def test_of_a_frame_that_was_halved_the_last_row_and_column_are_never_foreground():
    """The network's box ends at 9 of 10 pixels at most, which is 18 of 0 ... 19."""
    pasted = decode(
        legacy_paste(torch.ones(28, 28), torch.tensor([0.0, 0, 9, 5]) / 0.5, (12, 20), 0.5)
    )
    assert pasted[:11, :19].all() and not pasted[11].any() and not pasted[:, 19].any()


@pytest.mark.parametrize(
    ('size', 'network', 'scale'), [((1275, 720), (638, 360), 0.5), ((480, 640), (360, 480), 0.75)]
)
def test_the_scale_is_one_number(size, network, scale):
    """V18; without rounding the same as mmdet's."""
    found = ScalarResize(scale=(640, 360), keep_ratio=True).transform(
        dict(img=np.zeros((size[1], size[0], 3), np.uint8))
    )
    assert found['img_shape'] == network[::-1] and found['scale_factor'] == (scale, scale)


def test_anchors_of_the_official_config():
    """V11, stride 4."""
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(OFFICIAL).model)
    anchors = model.detector.rpn_head.prior_generator.base_anchors[0]
    assert anchors.tolist() == [[-21, -9, 24, 12], [-14, -14, 17, 17], [-9, -21, 12, 24]]
    assert isinstance(model.detector.rpn_head, LegacyRPNHead) and isinstance(
        model.detector.roi_head.bbox_head, LegacyBBoxHead
    )
    assert not model.track_head.relu_after_last
    assert model.legacy


def test_results_and_memory_of_the_official_config_have_original_pixels():
    """A box of the network from 4 to 9 at scale .5 is one from 8 to 18 inclusive, 11 pixels; the
    mask, all ones, fills them.
    """
    init_default_scope('mmdet')
    config = Config.fromfile(OFFICIAL)
    config.model.detector.backbone.depth = 18
    config.model.detector.neck.in_channels = [64, 128, 256, 512]
    model = MODELS.build(config.model).eval()
    found = InstanceData(
        bboxes=torch.tensor([[4.0, 2, 9, 9]]), scores=torch.tensor([0.9]), labels=torch.tensor([3])
    )
    model._detect = lambda features, frame: found
    model._segment = lambda features, found: torch.ones(len(found), 28, 28)
    halved = Frame(torch.zeros(1, 3, 32, 32), FrameMeta(0, (20, 20), (10, 10), (0.5, 0.5)))
    with torch.no_grad():
        state, result = model.step(halved, model.init_state())
    assert state.boxes.tolist() == [[8, 4, 19, 19]]
    (item,) = result.objects
    assert (
        item.box == (8, 4, 19, 19)
        and decode(item.mask).sum() == 11 * 15
        and decode(item.mask)[4:19, 8:19].all()
    )
