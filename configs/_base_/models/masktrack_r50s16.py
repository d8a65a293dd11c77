# MaskTrack and MaskTrack-Box on the first four stages of a ResNet-50 (stride 16): the compact
# model.
_base_ = ['../preprocessors/imagenet_rgb.py', '../trackers/masktrack_r50s16.py']

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor={{_base_.imagenet_rgb}},
    tracker={{_base_.masktrack_r50s16}},
)
