# Part tracking with a window cut out of the image for each part: slow, but its matcher may be any
# SiamMask on ``SiameseResNet``, also a published one. Tested on DAVIS-2016. Weights: mmvos weights
# join, see README.md.
_base_ = [
    '../_base_/models/parts_r50_fpn.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]

model = dict(
    tracker=dict(
        matcher=dict(
            features=dict(
                _delete_=True,
                type='mmvos.CropFeatures',
                backbone=dict(type='mmvos.SiameseResNet', frozen_stages=1),
                adjust=dict(type='mmvos.AdjustLayer', in_channels=1024, out_channels=256),
            ),
            head=dict(refine=None),
        ),
        parts=16,
        restore=dict(
            mean={{_base_.model.data_preprocessor.mean}}, std={{_base_.model.data_preprocessor.std}}
        ),
    )
)
