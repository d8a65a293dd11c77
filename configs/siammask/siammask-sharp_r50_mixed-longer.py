# Third stage of SiamMask on few data, from siammask-sharp_r50_mixed.py: 900 iterations more, with
# hard negatives, search windows around the box of the frame before, and batch norms whose
# statistics are fixed after 40 %. What docs/results.md measures.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs_mixed.py',
    '../_base_/schedules/siammask_short.py',
    '../_base_/default_runtime.py',
]

iterations = 900
load_from = 'work_dirs/siammask-sharp_r50_mixed/iter_450.pth'
model = dict(tracker=dict(hard_negatives=True, min_overlap=0.3))
sources = _base_.train_dataloader.dataset.sources
train_dataloader = dict(
    batch_size=12,
    dataset=dict(
        sources=[
            dict(sources[0], previous=True),
            dict(sources[1], min_area=300, previous=True),
            sources[2],
        ]
    ),
)
train_cfg = dict(max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=iterations, eta_min=1e-5),
]
custom_hooks = [*_base_.stage_hooks, dict(type='mmvos.FreezeBatchNormHook', begin=0.4)]
default_hooks = {{_base_.short_hooks}}
log_processor = dict(by_epoch=False)
