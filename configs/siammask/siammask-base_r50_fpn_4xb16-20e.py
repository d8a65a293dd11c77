# First stage of SiamMask on mmdet's R50-FPN: one pass over the frame for all objects. Initial
# weights: a ResNet-50.
_base_ = [
    '../_base_/models/siammask_fpn_r50.py',
    '../_base_/datasets/davis.py',
    '../_base_/datasets/siamese_pairs.py',
    '../_base_/schedules/siammask_base.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/resnet50.pth'
model = dict(tracker=dict(head=dict(refine=None)))

custom_hooks = {{_base_.stage_hooks}}
default_hooks = dict(checkpoint=dict(save_best='davis/J&F_mean', rule='greater'))
