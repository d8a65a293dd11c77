# Second stage of SiamMask, from the weights of the first: 20 epochs, 64 pairs a step (200,000 pairs
# an epoch). The mask branch up to its correlation and the refining module are trained, with a
# learning rate that falls from 0.01 to 0.0025 on a logarithmic scale.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=5)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='float32',
    max_loss=1e4,
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='ExponentialLR', gamma=0.25 ** (1 / 19), by_epoch=True, begin=0, end=20)
]
# custom_hooks = {{_base_.stage_hooks}} in a config, as the runtime has some of its own
stage_hooks = [
    dict(
        type='mmvos.FreezeHook',
        modules=[
            r'tracker\.features',
            r'tracker\.neck\.(kernel|search)\.(score|box)',
            r'tracker\.head\.(score|box)',
        ],
    ),
    dict(type='mmvos.ResetOptimizerStateHook', every_epoch=True),
    dict(type='mmvos.NonFiniteLossHook', action='skip'),
    dict(type='mmvos.IterationSeedHook'),
]
find_unused_parameters = True
auto_scale_lr = dict(enable=False, base_batch_size=64)
