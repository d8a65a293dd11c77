# The published MaskTrack R-CNN weights, converted by mmvos weights convert, with the numerics they
# were trained with (mmdet 0.5): legacy anchors, box coding, RoIAlign, suppression, matching, mask
# paste and scale. For testing.
_base_ = [
    '../_base_/models/masktrack-rcnn_r50_fpn.py',
    '../_base_/datasets/youtube_vis.py',
    '../_base_/schedules/masktrack-rcnn_12e.py',
    '../_base_/default_runtime.py',
]

box_coder = dict(type='mmvos.LegacyBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0])
model = dict(
    legacy=True,
    detector=dict(
        rpn_head=dict(
            type='mmvos.LegacyRPNHead',
            anchor_generator=dict(type='LegacyAnchorGenerator', center_offset=0.5),
            bbox_coder=dict(_delete_=True, target_stds=[1.0, 1.0, 1.0, 1.0], **box_coder),
        ),
        roi_head=dict(
            bbox_roi_extractor=dict(type='mmvos.LegacyRoIExtractor'),
            bbox_head=dict(
                type='mmvos.LegacyBBoxHead',
                bbox_coder=dict(_delete_=True, target_stds=[0.1, 0.1, 0.2, 0.2], **box_coder),
            ),
            mask_roi_extractor=dict(type='mmvos.LegacyRoIExtractor'),
        ),
    ),
)

test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='mmvos.ScalarResize', scale={{_base_.image_scale}}, keep_ratio=True),
        ],
    ),
    dict(type='PackTrackInputs', default_meta_keys={{_base_.meta_keys}}),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
