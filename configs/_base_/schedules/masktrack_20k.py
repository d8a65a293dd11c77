# Mask propagation: 20,000 iterations at batch size 8.
_base_ = './masktrack_adamw.py'

iterations = 20000

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=5000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=500),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=3e-6),
]
auto_scale_lr = dict(enable=False, base_batch_size=8)
# default_hooks = {{_base_.clip_hooks}} in a config, as the runtime has some of its own
clip_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=1000, save_best='davis/J_mean'),
)
