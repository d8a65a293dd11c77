"""mmdet's own MaskTrackRCNN, for a comparison (docs/results.md): the data, initial weights and
schedule of masktrack-rcnn_r50_fpn_composed.py, the settings of mmdet's own config; boxes per frame
and their lowest score as ours."""

_base_ = ['./masktrack-rcnn_r50_fpn_composed.py', '../_base_/models/mmdet_track_parts.py']

custom_imports = dict(
    imports=['mmvos', 'mmvos.benchmarks.mmdet_masktrack'], allow_failed_imports=False
)

extractor = _base_.mmdet_extractor
mask_extractor = dict(extractor, roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0))

detector = _base_.model.detector
detector.rpn_head.type = 'RPNHead'
detector.rpn_head.loss_bbox = _base_.mmdet_box_loss
detector.roi_head.bbox_head.loss_bbox = _base_.mmdet_box_loss
detector.roi_head.bbox_roi_extractor = extractor
detector.roi_head.mask_roi_extractor = mask_extractor
detector.train_cfg.rpn.allowed_border = -1

model = dict(
    _delete_=True,
    type='mmvos.MMDetMaskTrackRCNN',
    data_preprocessor=_base_.model.data_preprocessor,
    channels_last=True,
    detector=detector,
    track_head=_base_.mmdet_track_head,
    tracker=_base_.mmdet_tracker,
)
del detector

# mmcv's RoIAlign on a CPU does not take bfloat16.
optim_wrapper = dict(dtype='float32')
