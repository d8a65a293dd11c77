# The light MaskTrack model, trained on still images in motion and on videos together, with pasted
# distractors and occluders, simulated clicks, and parts that stay lost. data/static is any image
# set in COCO's format whose images name their source; data/DAVIS as published. Test: DAVIS.
_base_ = [
    '../_base_/models/masktrack_lite0.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/efficientnet_lite0.pth'  # of mmvos weights convert
iterations = 3000
clip_length = 3
static_root = 'data/static'

model = dict(tracker=dict(rollout=0.7))

load_frames = dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')])
paste = dict(
    type='mmvos.PasteObjects',
    ann_file='instances.json',
    data_root=static_root,
    data_prefix=dict(img_path='images'),
)
make_sample = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one flip for all frames of a clip
        transforms=[dict(type='RandomFlip', prob=0.5)],
    ),
    dict(type='mmvos.ColorClip'),
    dict(type='mmvos.CropClip', size=384),
    dict(type='mmvos.DeformGuides'),
    dict(type='mmvos.SimulateClicks'),
    dict(type='mmvos.PackClip'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type='mmvos.ImageClipDataset',
                data_root=static_root,
                ann_file='instances.json',
                data_prefix=dict(img_path='images'),
                samples_per_epoch=1200,
                # By source: a third of the objects are persons.
                source_weights=dict(
                    coco=0.3,
                    ecssd=0.2,
                    duts=0.12,
                    sod=0.08,
                    cats=0.07,
                    pennfudan=0.06,
                    humans=0.05,
                    ccp=0.04,
                    camvid=0.04,
                    **{'coco-persons': 0.04},
                ),
                pipeline=[
                    load_frames,
                    dict(type='mmvos.SimulateMotion', clip_length=clip_length),
                    paste,
                    *make_sample,
                ],
            ),
            dict(
                type='mmvos.MaskClipDataset',
                data_root='data/DAVIS',
                split='2016/train',
                clip_length=clip_length,
                samples_per_epoch=700,
                pipeline=[load_frames, paste, *make_sample],
            ),
        ],
    ),
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=4e-4, weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={
            'tracker.backbone': dict(lr_mult=0.25),
            'tracker.backbone.guide_conv': dict(lr_mult=1.0),
        }
    ),
    clip_grad=dict(max_norm=5, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=4e-6),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=200, save_best='davis/J_mean'),
)
log_processor = dict(by_epoch=False)
