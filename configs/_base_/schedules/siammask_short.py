# A short training with Adam, for a CPU and few data: 450 iterations.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=450, val_interval=450)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=4e-4, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'features.backbone': dict(lr_mult=0.1)}, norm_decay_mult=0.0),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=60),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=450, eta_min=1e-5),
]
# custom_hooks = {{_base_.stage_hooks}} in a config, as the runtime has some of its own
stage_hooks = [
    dict(type='mmvos.NonFiniteLossHook', action='skip'),
    dict(type='mmvos.IterationSeedHook'),
]
short_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=150, save_best='davis/J&F_mean'),
)
