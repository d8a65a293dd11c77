# What mmdet's own MaskTrackRCNN has in place of our parts: variables for the configs that compare
# it with ours.
mmdet_extractor = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
    out_channels=256,
    featmap_strides=[4, 8, 16, 32],
)
mmdet_box_loss = dict(type='L1Loss', loss_weight=1.0)
mmdet_track_head = dict(
    type='RoITrackHead',
    roi_extractor=mmdet_extractor,
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
)
mmdet_tracker = dict(
    type='MaskTrackRCNNTracker',
    match_weights=dict(det_score=1.0, iou=2.0, det_label=10.0),
    num_frames_retain=20,
)
