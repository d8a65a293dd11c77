# Second stage of S2iamMask, from the weights of SiamMask's first stage: 10 epochs, 64 pairs a step
# (200,000 pairs an epoch). Only the head that votes is trained, on the boxes that the finished
# first stage proposes.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10, val_interval=5)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='float32',
    max_loss=1e4,
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='ExponentialLR', gamma=5 ** (1 / 5), by_epoch=True, begin=0, end=6),
    dict(type='ExponentialLR', gamma=0.5 ** (1 / 4), by_epoch=True, begin=5, end=10),
]
# custom_hooks = {{_base_.stage_hooks}} in a config, as the runtime has some of its own
stage_hooks = [
    dict(type='mmvos.FreezeHook', modules=[r'tracker\.(features|neck|head)']),
    dict(type='mmvos.NonFiniteLossHook', action='skip'),
    dict(type='mmvos.IterationSeedHook'),
]
find_unused_parameters = True
auto_scale_lr = dict(enable=False, base_batch_size=64)
