# S2iamMask's second stage on few data, from SiamMask's third (siammask-sharp_r50_mixed-longer.py):
# only the head that votes is trained, on few regions of many windows; the refining module comes
# along unused. What docs/results.md measures.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs_mixed.py',
    '../_base_/schedules/siammask_short.py',
    '../_base_/default_runtime.py',
]

iterations = 1600
load_from = 'work_dirs/siammask-sharp_r50_mixed-longer/iter_900.pth'
model = dict(tracker=dict(voting=dict(type='mmvos.VotingMaskHead', channels=256, max_regions=8)))
train_dataloader = dict(batch_size=8, dataset=dict(negative=0.0))
train_cfg = dict(max_iters=iterations, val_interval=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=1e-5),
]
custom_hooks = [
    dict(type='mmvos.FreezeHook', modules=[r'tracker\.(features|neck|head)']),
    *_base_.stage_hooks,
]
default_hooks = {{_base_.short_hooks}}
log_processor = dict(by_epoch=False)
find_unused_parameters = True
