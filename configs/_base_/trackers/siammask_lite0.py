# SiamMask with refined masks on an EfficientNet-Lite0 to stride 16: a model of its own, with votes
# S2iamMask, and what follows the parts of light part tracking.
channels = 128
siammask_lite0 = dict(
    type='mmvos.SiameseTracker',
    features=dict(
        type='mmvos.CropFeatures',
        backbone=dict(type='mmvos.SiameseEfficientNet'),
        adjust=dict(type='mmvos.AdjustLayer', in_channels=152, out_channels=channels),
    ),
    neck=dict(type='mmvos.DepthwiseXCorr', channels=channels),
    head=dict(
        type='mmvos.SiameseHead',
        channels=channels,
        refine=dict(type='mmvos.MaskRefiner', in_channels=(16, 24, 40), channels=channels, width=2),
    ),
    search_size=255,
    mask_threshold=0.35,
    penalty=0.04,
    window_influence=0.40,
    size_rate=1.0,
    computed_objects=3,  # of more the others are carried by the optical flow
)
