# MaskTrack and MaskTrack-Box on Mask R-CNN's ResNet-50 and FPN; the head sees the stem (stride 2)
# and P2 to P5.
_base_ = ['../preprocessors/imagenet_rgb.py']

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor=dict(_base_.imagenet_rgb, pad_size_divisor=32),
    tracker=dict(
        type='mmvos.MaskPropagator',
        backbone=dict(
            type='mmvos.GuidedResNet',
            depth=50,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            out_stem=True,
            norm_cfg=dict(type='BN', requires_grad=False),
            norm_eval=True,
            style='pytorch',
        ),
        neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4),
        head=dict(
            type='mmvos.PropagationHead',
            in_channels=(64, 256, 256, 256, 256),
            channels=(32, 64, 128, 192, 256),
        ),
        strides=(2, 4, 8, 16, 32),
        mode='roi',
    ),
)
