# The light MaskTrack model, trained on still images in motion and on videos together, with pasted
# distractors and occluders, simulated clicks, and parts that stay lost. data/static: see
# _base_/datasets/static_images.py; data/DAVIS as published. Test: DAVIS.
_base_ = [
    '../_base_/models/masktrack_lite0.py',
    '../_base_/datasets/static_images.py',
    '../_base_/datasets/clip_steps.py',
    '../_base_/datasets/davis.py',
    '../_base_/schedules/masktrack_adamw.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/efficientnet_lite0.pth'  # of mmvos weights convert
iterations = 3000

model = dict(tracker=dict(rollout=0.7))

# clicks are drawn on what is about to be packed
make_sample = [*_base_.make_sample[:-1], dict(type='mmvos.SimulateClicks'), _base_.make_sample[-1]]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                _base_.static_images,
                type='mmvos.ImageClipDataset',
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
                    _base_.load_frames,
                    dict(type='mmvos.SimulateMotion', clip_length={{_base_.clip_length}}),
                    _base_.paste_objects,
                    *make_sample,
                ],
            ),
            dict(
                type='mmvos.MaskClipDataset',
                data_root='data/DAVIS',
                split='2016/train',
                clip_length={{_base_.clip_length}},
                samples_per_epoch=700,
                pipeline=[_base_.load_frames, _base_.paste_objects, *make_sample],
            ),
        ],
    ),
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    paramwise_cfg=dict(custom_keys={'tracker.backbone': dict(lr_mult=0.25)}),
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
