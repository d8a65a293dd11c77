# SiamMask with refined masks on the sample videos (mmvos sample-videos): ResNet-18 and FPN, trained
# from scratch within ten minutes on two CPU cores. The network sees training windows in 0.5 to 1.15
# times their size, as objects in whole frames have all sizes.
_base_ = [
    '../_base_/models/siammask_fpn_r50.py',
    '../_base_/datasets/sample_videos.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/sample/'
iterations = 1050
channels = 96

model = dict(
    tracker=dict(
        features=dict(
            backbone=dict(
                depth=18,
                num_stages=3,
                out_indices=(0, 1, 2),
                strides=(1, 2, 2),
                dilations=(1, 1, 1),
                frozen_stages=-1,
                norm_eval=False,
                zero_init_residual=False,
            ),
            neck=dict(
                in_channels=[64, 128, 256],
                out_channels=channels,
                num_outs=3,
                norm_cfg=dict(type='BN'),
            ),
            adjust=dict(in_channels=channels, out_channels=channels),
            strides=(4, 8, 16),
            train_scales=(0.5, 1.15),
        ),
        neck=dict(channels=channels),
        head=dict(
            channels=channels,
            refine=dict(
                type='mmvos.MaskRefiner',
                in_channels=(channels, channels, channels),
                channels=channels,
            ),
        ),
        loss_weights=(2.0, 3.0, 36.0),
        size_rate=0.25,
        window_influence=0.5,
        motion=1.0,
        lost_score=0.1,
        max_masks=24,
        hard_negatives=True,
        min_overlap=0.3,
    )
)

train_dataloader = dict(
    batch_size=12,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmvos.MaskPairDataset',
        sources=[
            dict(
                type='mmvos.MaskFolderPairs',
                data_root=data_root + 'train',
                frame_range=20,
                min_area=64,
                from_start=0.3,
            )
        ],
        samples=[12 * iterations],
        negative=0.2,
        pipeline=[
            dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')]),
            dict(
                type='mmvos.CropPair', search_size=255, search_shift=64, search_scale=0.3, flip=0.5
            ),
            dict(type='mmvos.ColorPair', gray=0.25, blur=0.18),
            dict(type='mmvos.PackPair'),
        ],
    ),
)
val_dataloader = dict(dataset=dict(prompt='box'))
test_dataloader = val_dataloader

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=2.5e-3, weight_decay=0.02),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=1e-5),
]
custom_hooks = [
    dict(type='mmvos.NonFiniteLossHook', action='skip'),
    dict(type='mmvos.IterationSeedHook'),
    dict(type='mmvos.FreezeBatchNormHook', begin=0.4),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=iterations, save_best='youtube_vos/J&F_mean'),
)
log_processor = dict(by_epoch=False)
