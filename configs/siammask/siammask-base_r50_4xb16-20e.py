# First stage of SiamMask (masks of 63 x 63 pixels), with its published settings: YouTube-VOS and
# COCO; test: DAVIS-2016. The initial weights are made by mmvos weights convert from the ImageNet
# weights of the published code, or from any ResNet-50.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs.py',
    '../_base_/schedules/siammask_base.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/siamese_resnet50.pth'
model = dict(
    tracker=dict(
        head=dict(refine=None),
        mask_threshold=0.30,
        penalty=0.09,
        window_influence=0.39,
        size_rate=0.38,
    )
)

custom_hooks = {{_base_.stage_hooks}}
default_hooks = dict(checkpoint=dict(save_best='davis/J&F_mean', rule='greater'))
