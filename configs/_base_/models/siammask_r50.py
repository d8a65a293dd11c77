# SiamMask with refined masks on the ResNet-50 of the published weights; the settings for DAVIS and
# YouTube-VOS. The network takes BGR images of 0 to 255 in their own size.
_base_ = ['../preprocessors/bgr_pixels.py']

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor={{_base_.bgr_pixels}},
    merge='hard-first',
    tracker=dict(
        type='mmvos.SiameseTracker',
        features=dict(
            type='mmvos.CropFeatures',
            backbone=dict(type='mmvos.SiameseResNet', frozen_stages=1),
            adjust=dict(type='mmvos.AdjustLayer', in_channels=1024, out_channels=256),
        ),
        neck=dict(type='mmvos.DepthwiseXCorr', channels=256),
        head=dict(
            type='mmvos.SiameseHead',
            channels=256,
            refine=dict(type='mmvos.MaskRefiner', in_channels=(64, 256, 512)),
        ),
        search_size=255,
        mask_threshold=0.35,
        penalty=0.04,
        window_influence=0.40,
        size_rate=1.0,
    ),
)
