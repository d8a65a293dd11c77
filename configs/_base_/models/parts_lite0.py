# Part tracking on the light models: SiamMask on an EfficientNet-Lite0 follows the parts, the light
# MaskTrack makes the masks.
_base_ = [
    '../preprocessors/unit_rgb.py',
    '../trackers/siammask_lite0.py',
    '../trackers/masktrack_lite0.py',
]

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor={{_base_.unit_rgb}},
    merge='soft',
    tracker=dict(
        type='mmvos.PartTracker',
        matcher={{_base_.siammask_lite0}},
        propagator={{_base_.masktrack_lite0}},
        parts=16,
        attention=0.5,
        min_score_ratio=0.5,
        window_influence=0.2,
        context=2.0,
        resample=5,
        # The matcher takes the pixels of the image.
        restore=dict(mean={{_base_.unit_rgb.mean}}, std={{_base_.unit_rgb.std}}),
    ),
)
