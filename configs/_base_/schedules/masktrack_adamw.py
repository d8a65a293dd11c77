# AdamW for mask propagation, the pretrained backbone slower than the rest.
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
