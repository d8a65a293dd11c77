# Second stage of SiamMask on few data: score, box and refined masks are trained together, stages 2
# and 3 of the backbone too. Twelve pairs a step, of whose cells 40 give a mask. What
# docs/results.md measures.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs_mixed.py',
    '../_base_/schedules/siammask_short.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/siammask-base_r50_mixed/iter_300.pth'
model = dict(tracker=dict(max_masks=40))
train_dataloader = dict(batch_size=12)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
custom_hooks = {{_base_.stage_hooks}}
default_hooks = {{_base_.short_hooks}}
log_processor = dict(by_epoch=False)
