# First stage of SiamMask on few data (data/DAVIS, data/composed, data/coco; see
# _base_/datasets/siamese_pairs_mixed.py), with the backbone as it is; the second is
# siammask-sharp_r50_mixed.py. Initial weights: mmvos weights convert makes them from any ResNet-50.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs_mixed.py',
    '../_base_/schedules/siammask_short.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/siamese_resnet50.pth'
model = dict(tracker=dict(features=dict(backbone=dict(frozen_stages=3)), head=dict(refine=None)))

train_cfg = dict(max_iters=300, val_interval=300)
custom_hooks = {{_base_.stage_hooks}}
default_hooks = {{_base_.short_hooks}}
log_processor = dict(by_epoch=False)
