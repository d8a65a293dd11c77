# SiamMask on Mask R-CNN's ResNet-50 and FPN: one pass over the frame for all objects, their windows
# by RoIAlign.
_base_ = ['../preprocessors/imagenet_rgb.py', '../trackers/siammask_fpn_r50.py']

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor={{_base_.imagenet_rgb}},
    merge='hard-first',
    tracker={{_base_.siammask_fpn_r50}},
)
