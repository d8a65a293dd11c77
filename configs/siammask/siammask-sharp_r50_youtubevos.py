# Second stage of SiamMask; test: YouTube-VOS, with the published SiamMask_DAVIS.pth or weights of
# one's own.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/youtube_vos_own-size.py',
    '../_base_/datasets/siamese_pairs_refine.py',
    '../_base_/schedules/siammask_refine.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/siammask-base_r50_4xb16-20e/epoch_20.pth'
model = dict(tracker=dict(loss_weights=(0.0, 0.0, 36.0)))

custom_hooks = {{_base_.stage_hooks}}
default_hooks = dict(checkpoint=dict(save_best='youtube_vos/J&F_mean', rule='greater'))
