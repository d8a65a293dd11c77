# MaskTrack on an EfficientNet-Lite0 to stride 16: the light model; masks, boxes and clicks.
_base_ = ['../preprocessors/unit_rgb.py', '../trackers/masktrack_lite0.py']

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor={{_base_.unit_rgb}},
    tracker={{_base_.masktrack_lite0}},
)
