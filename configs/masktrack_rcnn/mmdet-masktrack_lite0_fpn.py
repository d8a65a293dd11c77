"""mmdet's own MaskTrackRCNN on the light backbone, for a comparison (docs/results.md): the data,
initial weights, sizes and schedule of masktrack-rcnn_lite0_fpn.py; boxes per frame and their lowest
score as ours."""

_base_ = ['./masktrack-rcnn_lite0_fpn.py', '../_base_/models/mmdet_track_parts.py']

custom_imports = dict(
    imports=['mmvos', 'mmvos.benchmarks.mmdet_masktrack'], allow_failed_imports=False
)

# The narrow pyramid, which begins at stride 8.
extractor = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
    out_channels=_base_.width,
    featmap_strides=[8, 16, 32],
)
mask_extractor = dict(extractor, roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0))

detector = _base_.model.detector
detector.rpn_head.type = 'RPNHead'
detector.rpn_head.loss_bbox = _base_.mmdet_box_loss
detector.roi_head.bbox_head.loss_bbox = _base_.mmdet_box_loss
detector.roi_head.bbox_roi_extractor = extractor
detector.roi_head.mask_roi_extractor = mask_extractor
detector.train_cfg.rpn.allowed_border = -1

track_head = _base_.mmdet_track_head
track_head.roi_extractor = extractor
track_head.embed_head.in_channels = _base_.width
track_head.embed_head.fc_out_channels = 256
track_head.train_cfg.sampler = dict(
    type='RandomSampler', num=48, pos_fraction=0.34, neg_pos_ub=-1, add_gt_as_proposals=True
)

model = dict(
    _delete_=True,
    type='mmvos.MMDetMaskTrackRCNN',
    data_preprocessor=_base_.model.data_preprocessor,
    channels_last=True,
    detector=detector,
    track_head=track_head,
    tracker=_base_.mmdet_tracker,
)
del detector, track_head
