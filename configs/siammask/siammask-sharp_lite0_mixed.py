# The light SiamMask model, trained in one go on pairs from still images and videos. Test: DAVIS.
_base_ = [
    '../_base_/models/siammask_lite0.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs_stills.py',
    '../_base_/schedules/siammask_light.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/siamese_efficientnet_lite0.pth'  # of mmvos weights convert
iterations = 1300
model = dict(tracker=dict(max_masks=24, hard_negatives=True, min_overlap=0.3))
val_dataloader = dict(dataset=dict(prompt='box'))
test_dataloader = dict(dataset=dict(prompt='box'))

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=1e-5),
]
custom_hooks = [
    dict(type='mmvos.NonFiniteLossHook', action='skip'),
    dict(type='mmvos.IterationSeedHook'),
    dict(type='mmvos.FreezeBatchNormHook', begin=0.5),
]
default_hooks = {{_base_.light_hooks}}
log_processor = dict(by_epoch=False)
