# S2iamMask on the light SiamMask, with the same weights: the ten best candidates vote with their
# refined masks, each inside its box, and the box is followed.
_base_ = ['../preprocessors/bgr_pixels.py', '../trackers/siammask_lite0.py']

model = dict(
    type='mmvos.PromptedSegmenter',
    data_preprocessor={{_base_.bgr_pixels}},
    merge='hard-first',
    tracker=dict(
        _base_.siammask_lite0,
        voting=dict(
            type='mmvos.VotingMaskHead',
            refined=True,
            mask_threshold=0.4,
            min_votes=5,
            iou_weight=0.2,  # on 30 training sequences J .811, with .7 as published .766
        ),
        follow_mask=False,
    ),
)
