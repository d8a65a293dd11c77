# A short training of the light SiamMask on a CPU, in float32: bfloat16 is slower without AMX. 1,300
# iterations.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1300, val_interval=1300)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='float32',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'features.backbone': dict(lr_mult=0.2)}, norm_decay_mult=0.0),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=1300, eta_min=1e-5),
]
# what of a pair is learned: model = dict(tracker=dict(_base_.light_pairs)) in a config
light_pairs = dict(max_masks=24, hard_negatives=True, min_overlap=0.3)
# custom_hooks = {{_base_.stage_hooks}} and default_hooks = {{_base_.light_hooks}} in a config, as
# the runtime has some of its own
stage_hooks = [
    dict(type='mmvos.NonFiniteLossHook', action='skip'),
    dict(type='mmvos.IterationSeedHook'),
    dict(type='mmvos.FreezeBatchNormHook', begin=0.5),
]
light_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=100, save_best='davis/J&F_mean'),
)
