# SiamMask on Mask R-CNN's ResNet-50 and FPN: one pass over the frame for all objects, their windows by RoIAlign.
_base_ = './resnet50.py'

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor=dict(pad_mask=False),
    merge='hard',
    tracker=dict(
        type='mmvos.SiameseTracker',
        features=dict(
            type='mmvos.PyramidFeatures',
            backbone={{_base_.resnet50}},
            neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4),
            adjust=dict(type='mmvos.SiameseAdjust', in_channels=256, out_channels=256),
            strides=(4, 8, 16, 32)),
        neck=dict(type='mmvos.SiameseCorrelation', channels=256),
        head=dict(type='mmvos.SiameseHead', channels=256, refine=dict(type='mmvos.MaskRefiner', in_channels=(256, 256, 256))),
        search_size=255,
        mask_threshold=0.35,
        penalty=0.04,
        window_influence=0.40,
        size_rate=1.0))
