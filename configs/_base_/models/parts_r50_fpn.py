# Part tracking: SiamMask on a feature pyramid follows the parts, MaskTrack's compact model makes
# the masks.
_base_ = [
    '../preprocessors/imagenet_rgb.py',
    '../trackers/siammask_fpn_r50.py',
    '../trackers/masktrack_r50s16.py',
]

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor={{_base_.imagenet_rgb}},
    merge='soft',
    tracker=dict(
        type='mmvos.PartTracker',
        matcher={{_base_.siammask_fpn_r50}},
        propagator={{_base_.masktrack_r50s16}},
        parts=32,
        attention=0.5,
        min_score_ratio=0.5,
        window_influence=0.2,
        context=2.0,
        resample=5,
    ),
)
