# MaskTrack R-CNN on videos composed of real footage (mmvos compose), for a short training on a CPU:
# frames of 384x216, a pretrained backbone whose first two stages stay fixed, batch norm in the FPN
# because there is little data.
_base_ = [
    '../_base_/models/masktrack-rcnn_r50_fpn.py',
    '../_base_/datasets/youtube_vis.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/composed/'
# any ResNet-50 with torchvision's names (--cfg-options load_from=PATH)
load_from = 'checkpoints/resnet50.pth'
num_classes = 6
epochs = 2

model = dict(
    detector=dict(
        backbone=dict(frozen_stages=2),
        neck=dict(norm_cfg=dict(type='BN')),
        roi_head=dict(
            bbox_head=dict(num_classes=num_classes), mask_head=dict(num_classes=num_classes)
        ),
    )
)

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='mmvos.LoadInstances'),
            dict(type='Resize', scale=(384, 216), keep_ratio=True),
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
            dict(type='Resize', scale=(384, 216), keep_ratio=True),
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
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.05),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.25)}),
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
