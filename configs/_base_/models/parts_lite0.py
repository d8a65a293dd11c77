# Part tracking on the light models: SiamMask on an EfficientNet-Lite0 follows the parts, the light
# MaskTrack makes the masks.
_base_ = ['./siammask_lite0.py']
mean, std = [127.0, 127.0, 127.0], [128.0, 128.0, 128.0]
model = dict(
    data_preprocessor=dict(mean=mean, std=std, bgr_to_rgb=True),
    merge='soft',
    tracker=dict(
        _delete_=True,
        type='mmvos.PartTracker',
        matcher={{_base_.model.tracker}},
        propagator=dict(
            type='mmvos.MaskPropagator',
            backbone=dict(type='mmvos.GuidedEfficientNetLite', guide_channels=2),
            head=dict(
                type='mmvos.PropagationHead',
                in_channels=(16, 24, 40, 112),
                channels=(16, 64, 96, 192),
                guide_channels=2,
                hard_ratio=0.25,
            ),
            strides=(2, 4, 8, 16),
            mode='crop',
            size=448,  # as masktrack_lite0
            clicks=True,
            box_prior=0.5,
        ),
        parts=16,
        attention=0.5,
        min_score_ratio=0.5,
        window_influence=0.2,
        context=2.0,
        resample=5,
        # The matcher takes the pixels of the image.
        restore=dict(mean=mean, std=std),
    ),
)
