# The published MaskTrack R-CNN weights, converted by tools/convert_checkpoint.py, with the numerics they were trained with
# (mmdet 0.5): legacy anchors, box coding, RoIAlign and suppression. For testing.
_base_ = [
    '../_base_/models/masktrack-rcnn_r50_fpn.py', '../_base_/datasets/youtube_vis.py',
    '../_base_/schedules/masktrack-rcnn_12e.py', '../_base_/default_runtime.py'
]

box_coder = dict(type='mmvos.LegacyBoxCoder', target_means=[0., 0., 0., 0.])
model = dict(
    detector=dict(
        rpn_head=dict(
            anchor_generator=dict(type='LegacyAnchorGenerator', center_offset=0.5),
            bbox_coder=dict(_delete_=True, target_stds=[1.0, 1.0, 1.0, 1.0], **box_coder)),
        roi_head=dict(
            bbox_roi_extractor=dict(type='mmvos.LegacyRoIExtractor'),
            bbox_head=dict(
                type='mmvos.LegacyBBoxHead',
                bbox_coder=dict(_delete_=True, target_stds=[0.1, 0.1, 0.2, 0.2], **box_coder)),
            mask_roi_extractor=dict(type='mmvos.LegacyRoIExtractor')),
        train_cfg=dict(rpn_proposal=dict(nms=dict(offset=1), min_bbox_size=-1)),
        test_cfg=dict(
            rpn=dict(nms=dict(offset=1), min_bbox_size=-1),
            rcnn=dict(nms=dict(offset=1)))))
