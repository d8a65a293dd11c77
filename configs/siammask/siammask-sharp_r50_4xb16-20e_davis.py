# Second stage of SiamMask (masks of 127 x 127 pixels), from the weights of the first; test:
# DAVIS-2016. It is also the config of the published SiamMask_DAVIS.pth, converted by mmvos weights
# convert.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs_refine.py',
    '../_base_/schedules/siammask_refine.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/siammask-base_r50_4xb16-20e/epoch_20.pth'
model = dict(tracker=dict(loss_weights=(0.0, 0.0, 36.0)))

custom_hooks = {{_base_.stage_hooks}}
default_hooks = dict(checkpoint=dict(save_best='davis/J&F_mean', rule='greater'))
