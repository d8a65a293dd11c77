# MaskTrack on the first four stages of a ResNet-50 (stride 16): a model of its own, and what makes
# the masks of part tracking.
masktrack_r50s16 = dict(
    type='mmvos.MaskPropagator',
    backbone=dict(
        type='mmvos.GuidedResNet',
        depth=50,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        out_stem=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
    ),
    head=dict(type='mmvos.PropagationHead', in_channels=(64, 256, 512, 1024)),
    strides=(2, 4, 8, 16),
    mode='crop',
)
