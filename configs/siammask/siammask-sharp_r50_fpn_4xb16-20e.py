# Second stage of SiamMask on mmdet's R50-FPN, from the weights of the first.
_base_ = [
    '../_base_/models/siammask_fpn_r50.py',
    '../_base_/datasets/davis.py',
    '../_base_/datasets/siamese_pairs_refine.py',
    '../_base_/schedules/siammask_refine.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/siammask-base_r50_fpn_4xb16-20e/epoch_20.pth'
model = dict(tracker=dict(loss_weights=(0.0, 0.0, 36.0)))

custom_hooks = {{_base_.stage_hooks}}
default_hooks = dict(checkpoint=dict(save_best='davis/J&F_mean', rule='greater'))
