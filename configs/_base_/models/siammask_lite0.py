# SiamMask with refined masks on an EfficientNet-Lite0 to stride 16: the light model. The network
# takes BGR images of 0 to 255 in their own size.
_base_ = ['../preprocessors/bgr_pixels.py', '../trackers/siammask_lite0.py']

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor={{_base_.bgr_pixels}},
    merge='hard-first',
    tracker={{_base_.siammask_lite0}},
)
