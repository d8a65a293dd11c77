# The light model: EfficientNet-Lite0 and a narrow FPN from stride 8 on, frames of 384x216; it finds
# persons, animals, vehicles and other things. Trained on videos composed from a DAVIS folder and
# from still images with masks; README.md has the commands that make them.
_base_ = [
    '../_base_/models/masktrack-rcnn_r50_fpn.py',
    '../_base_/datasets/youtube_vis.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/efficientnet_lite0_detector.pth'  # of mmvos weights convert
iterations = 5000
data_root = 'data/composed/'
stills_root = 'data/composed_stills/'
classes = ('person', 'animal', 'vehicle', 'other')
num_classes = len(classes)
width = 96  # channels of the pyramid and the heads

model = dict(
    both_frames_as_key=True,
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    detector=dict(
        backbone=dict(_delete_=True, type='mmvos.EfficientNetLite', out_strides=(8, 16, 32)),
        neck=dict(
            in_channels=[40, 112, 320], out_channels=width, num_outs=4, norm_cfg=dict(type='BN')
        ),
        rpn_head=dict(
            in_channels=width,
            feat_channels=width,
            anchor_generator=dict(scales=[5], strides=[8, 16, 32, 64]),
        ),
        roi_head=dict(
            bbox_roi_extractor=dict(out_channels=width, featmap_strides=[8, 16, 32]),
            bbox_head=dict(
                in_channels=width,
                fc_out_channels=512,
                num_classes=num_classes,
                reg_class_agnostic=True,
            ),
            mask_roi_extractor=dict(out_channels=width, featmap_strides=[8, 16, 32]),
            mask_head=dict(
                num_convs=2,
                in_channels=width,
                conv_out_channels=width,
                num_classes=num_classes,
                class_agnostic=True,
            ),
        ),
        train_cfg=dict(rcnn=dict(sampler=dict(num=48, pos_fraction=0.34))),
    ),
    track_head=dict(in_channels=width, fc_out_channels=256),
)
color = dict(type='PhotoMetricDistortion', brightness_delta=24, hue_delta=8)
load = [dict(type='mmvos.LoadFrame'), dict(type='mmvos.LoadInstances')]
pack = dict(type='mmvos.PackFrames', meta_keys={{_base_.meta_keys}})
# A video's frames are treated alike.
train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            *load,
            dict(type='RandomResize', scale=(384, 216), ratio_range=(0.65, 1.15), keep_ratio=True),
            dict(type='mmvos.FlipFrame', prob=0.5),
            color,
        ],
    ),
    pack,
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale=(384, 216), keep_ratio=True),
        ],
    ),
    pack,
]

metainfo = dict(classes=classes)
train_videos = dict(
    type='mmvos.YouTubeVISDataset',
    ann_file='train/instances.json',
    data_prefix=dict(img_path='train/JPEGImages'),
    metainfo=metainfo,
    pipeline=train_pipeline,
)
train_dataloader = dict(
    _delete_=True,
    batch_size=2,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys='category_ids',  # the files number the same classes in their own ways
        datasets=[
            dict(type='RepeatDataset', times=2, dataset=dict(train_videos, data_root=data_root)),
            dict(train_videos, data_root=stills_root),
        ],
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        ann_file='valid/instances.json',
        data_prefix=dict(img_path='valid/JPEGImages'),
        metainfo=metainfo,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'valid/instances.json')
test_evaluator = val_evaluator

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='float32',  # bfloat16 took 1.5 times as long on a CPU without AMX
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.25)}),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=5e-6),
]
custom_hooks = [
    *_base_.custom_hooks,
    # What images have in common is learned from more of them.
    dict(type='mmvos.FreezeHook', modules=[r'detector\.backbone\.(stem_conv|stages\.[0-2])']),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=200),
)
log_processor = dict(by_epoch=False)
