# Mask propagation: 20,000 iterations of AdamW at batch size 8, the pretrained backbone slower than
# the rest.
iterations = 20000

train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=5000)
optim_wrapper = dict(
    type='mmvos.SafeOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=3e-4, weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={
            'tracker.backbone': dict(lr_mult=0.2),
            'tracker.backbone.guide_conv': dict(lr_mult=1.0),
        }
    ),
    clip_grad=dict(max_norm=5, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=500),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=3e-6),
]
auto_scale_lr = dict(enable=False, base_batch_size=8)
