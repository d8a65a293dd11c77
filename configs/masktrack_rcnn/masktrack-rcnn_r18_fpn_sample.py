# MaskTrack R-CNN on the sample videos (mmvos sample-videos), small enough to train from scratch on
# two CPU cores within ten minutes: ResNet-18 with trained batch norms, 96 channels, frames of
# 320x180.
_base_ = [
    '../_base_/models/masktrack-rcnn_r50_fpn.py',
    '../_base_/datasets/youtube_vis.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/sample/'
num_classes = 5
width = 96  # channels of the pyramid and the heads
epochs = 1

model = dict(
    both_frames_as_key=True,
    detector=dict(
        backbone=dict(depth=18, frozen_stages=-1, norm_eval=False, zero_init_residual=False),
        neck=dict(in_channels=[64, 128, 256, 512], out_channels=width, norm_cfg=dict(type='BN')),
        rpn_head=dict(in_channels=width, feat_channels=width),
        roi_head=dict(
            bbox_roi_extractor=dict(out_channels=width),
            bbox_head=dict(
                # textures are learned faster by convolutions than by fully connected layers
                type='ConvFCBBoxHead',
                num_shared_convs=2,
                num_shared_fcs=1,
                in_channels=width,
                conv_out_channels=128,
                fc_out_channels=256,
                norm_cfg=dict(type='BN'),
                num_classes=num_classes,
                loss_cls=dict(loss_weight=2.0),
            ),
            mask_roi_extractor=dict(out_channels=width),
            mask_head=dict(
                num_convs=2, in_channels=width, conv_out_channels=width, num_classes=num_classes
            ),
        ),
        train_cfg=dict(rcnn=dict(sampler=dict(num=32, pos_fraction=0.5))),
    ),
    track_head=dict(in_channels=width, fc_out_channels=256),
)

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='mmvos.LoadInstances'),
            dict(type='Resize', scale=(320, 180), keep_ratio=True),
            dict(type='mmvos.FlipFrame', prob=0.5),
        ],
    ),
    # no loss reads the masks of the reference frame
    dict(type='mmvos.PackFrames', meta_keys={{_base_.meta_keys}}, decode_references=False),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale=(320, 180), keep_ratio=True),
        ],
    ),
    dict(type='PackTrackInputs', default_meta_keys={{_base_.meta_keys}}),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        ann_file='train/instances.json',
        data_prefix=dict(img_path='train/JPEGImages'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        ann_file='valid/instances.json',
        data_prefix=dict(img_path='valid/JPEGImages'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'valid/instances.json')
test_evaluator = val_evaluator

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=1)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=6e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=0,
        end=epochs,
        eta_min=1e-5,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(logger=dict(interval=20))
