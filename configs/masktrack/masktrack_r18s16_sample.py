# MaskTrack on the sample videos (mmvos sample-videos): a ResNet-18 to stride 16, trained from
# scratch within ten minutes on two CPU cores.
_base_ = [
    '../_base_/models/masktrack_r50s16.py',
    '../_base_/datasets/mask_clips.py',
    '../_base_/datasets/sample_videos.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/sample/'
iterations = 400

model = dict(
    tracker=dict(
        backbone=dict(
            depth=18, norm_cfg=dict(requires_grad=True), norm_eval=False, zero_init_residual=False
        ),
        head=dict(in_channels=(64, 64, 128, 256), channels=(16, 32, 64, 128)),
        size=160,
        train_size=128,
    )
)

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='mmvos.MaskClipDataset',
        data_root=data_root + 'train',
        clip_length={{_base_.clip_length}},
        pipeline=[
            {{_base_.load_frames}},
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[dict(type='RandomFlip', prob=0.5)],
            ),
            dict(type='mmvos.ColorClip'),
            dict(type='mmvos.CropClip', size=192),
            dict(type='mmvos.DeformGuides'),
            dict(type='mmvos.PackClip'),
        ],
    ),
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.02),
    clip_grad=dict(max_norm=5, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=1e-5),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=iterations, save_best='youtube_vos/J&F_mean'),
)
log_processor = dict(by_epoch=False)
