"""mmdet's own MaskTrackRCNN, for a comparison (docs/results.md): the data, initial weights and
schedule of masktrack-rcnn_r50_fpn_composed.py, the settings of mmdet's own config; boxes per frame
and their lowest score as ours."""

_base_ = './masktrack-rcnn_r50_fpn_composed.py'

custom_imports = dict(
    imports=['mmvos', 'mmvos.benchmarks.mmdet_masktrack'], allow_failed_imports=False
)

extractor = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
    out_channels=256,
    featmap_strides=[4, 8, 16, 32],
)
mask_extractor = dict(extractor, roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0))
l1 = dict(type='L1Loss', loss_weight=1.0)

detector = _base_.model.detector
detector.rpn_head.type = 'RPNHead'
detector.rpn_head.loss_bbox = l1
detector.roi_head.bbox_head.loss_bbox = l1
detector.roi_head.bbox_roi_extractor = extractor
detector.roi_head.mask_roi_extractor = mask_extractor
detector.train_cfg.rpn.allowed_border = -1

model = dict(
    _delete_=True,
    type='mmvos.MMDetMaskTrackRCNN',
    data_preprocessor=_base_.model.data_preprocessor,
    channels_last=True,
    detector=detector,
    track_head=dict(
        type='RoITrackHead',
        roi_extractor=extractor,
        embed_head=dict(
            type='RoIEmbedHead', num_fcs=2, roi_feat_size=7, in_channels=256, fc_out_channels=1024
        ),
        train_cfg=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='RandomSampler',
                num=128,
                pos_fraction=0.25,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            pos_weight=-1,
            debug=False,
        ),
    ),
    tracker=dict(
        type='MaskTrackRCNNTracker',
        match_weights=dict(det_score=1.0, iou=2.0, det_label=10.0),
        num_frames_retain=20,
    ),
)
del detector

# mmcv's RoIAlign on a CPU does not take bfloat16.
optim_wrapper = dict(dtype='float32')
