# The compact MaskTrack model (R50 to stride 16), trained on DAVIS videos, videos composed from
# them, and COCO-style images: what the shipped weights were made with. data/DAVIS as published;
# data/composed from mmvos compose; data/coco any image set in COCO's format. Test: DAVIS.
_base_ = [
    '../_base_/models/masktrack_r50s16.py',
    '../_base_/datasets/clip_steps.py',
    '../_base_/datasets/davis.py',
    '../_base_/schedules/masktrack_adamw.py',
    '../_base_/default_runtime.py',
]

# any ResNet-50 with torchvision's names (--cfg-options load_from=PATH)
load_from = 'checkpoints/resnet50.pth'
iterations = 2000

model = dict(tracker=dict(rollout=0.7, roi_ratio=0.2))

train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type='mmvos.MaskClipDataset',
                data_root='data/DAVIS',
                split='2016/train',
                clip_length={{_base_.clip_length}},
                samples_per_epoch=600,
                pipeline=[_base_.load_frames, *_base_.make_sample],
            ),
            dict(
                type='mmvos.MaskClipDataset',
                data_root='data/composed/train',
                clip_length={{_base_.clip_length}},
                samples_per_epoch=300,
                pipeline=[_base_.load_frames, *_base_.make_sample],
            ),
            dict(
                type='mmvos.ImageClipDataset',
                data_root='data/coco',
                ann_file='instances.json',
                data_prefix=dict(img_path='images'),
                min_area=48 * 48,
                samples_per_epoch=600,
                pipeline=[
                    _base_.load_frames,
                    dict(type='mmvos.SimulateMotion', clip_length={{_base_.clip_length}}),
                    *_base_.make_sample,
                ],
            ),
        ],
    ),
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=3e-6),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=200, save_best='davis/J_mean'),
)
log_processor = dict(by_epoch=False)
