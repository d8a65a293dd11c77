# A short training of the light SiamMask on a CPU, in float32: bfloat16 is slower without AMX.
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='float32',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'features.backbone': dict(lr_mult=0.2)}, norm_decay_mult=0.0),
    clip_grad=dict(max_norm=10, norm_type=2),
)
# default_hooks = {{_base_.light_hooks}} in a config, as the runtime has some of its own
light_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(by_epoch=False, interval=100, save_best='davis/J&F_mean'),
)
