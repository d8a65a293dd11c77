# SiamMask on Mask R-CNN's ResNet-50 and FPN: a model of its own, and what follows the parts of part
# tracking.
siammask_fpn_r50 = dict(
    type='mmvos.SiameseTracker',
    features=dict(
        type='mmvos.PyramidFeatures',
        backbone=dict(
            type='ResNet',
            depth=50,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            frozen_stages=1,
            norm_cfg=dict(type='BN', requires_grad=True),
            norm_eval=True,
            style='pytorch',
        ),
        neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4),
        adjust=dict(type='mmvos.AdjustLayer', in_channels=256, out_channels=256),
        strides=(4, 8, 16, 32),
    ),
    neck=dict(type='mmvos.DepthwiseXCorr', channels=256),
    head=dict(
        type='mmvos.SiameseHead',
        channels=256,
        refine=dict(type='mmvos.MaskRefiner', in_channels=(256, 256, 256)),
    ),
    search_size=255,
    mask_threshold=0.35,
    penalty=0.04,
    window_influence=0.40,
    size_rate=1.0,
)
