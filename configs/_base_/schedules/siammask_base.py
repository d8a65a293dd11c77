# First stage of SiamMask: 20 epochs, 64 pairs a step (600,000 pairs an epoch). The learning rate
# rises from 0.001 to 0.005 in five epochs and falls to 0.0025 in the other fifteen, both on a
# logarithmic scale; stages 2 and 3 of the backbone are trained in the second half, at a tenth of
# it.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=5)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='float32',
    max_loss=1e4,
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=0.0001),
    paramwise_cfg=dict(custom_keys={'features.backbone': dict(lr_mult=0.1)}),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='ExponentialLR', gamma=5 ** (1 / 5), by_epoch=True, begin=0, end=6),
    dict(type='ExponentialLR', gamma=0.5 ** (1 / 14), by_epoch=True, begin=5, end=20),
]
# custom_hooks = {{_base_.stage_hooks}} in a config, as the runtime has some of its own
stage_hooks = [
    dict(type='mmvos.FreezeHook', modules=[r'tracker\.features\.backbone\.layer[23]'], until=0.5),
    dict(type='mmvos.ResetOptimizerStateHook', at=(0.5,)),
    dict(type='mmvos.NonFiniteLossHook', action='skip'),
    dict(type='mmvos.IterationSeedHook'),
]
find_unused_parameters = True  # what is frozen at first has no gradient
auto_scale_lr = dict(enable=False, base_batch_size=64)
