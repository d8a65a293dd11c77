# SiamMask on R50-FPN, trained on few data with the backbone as it is: the matcher of part tracking
# in docs/results.md. The network sees training windows in 0.6 to 1.4 times their size, as objects
# in whole frames have all sizes.
_base_ = [
    '../_base_/models/siammask_fpn_r50.py',
    '../_base_/datasets/davis.py',
    '../_base_/datasets/siamese_pairs_mixed.py',
    '../_base_/schedules/siammask_short.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/resnet50.pth'
model = dict(
    tracker=dict(
        features=dict(
            train_scales=(0.6, 1.4),
            backbone=dict(frozen_stages=4),
            neck=dict(norm_cfg=dict(type='BN')),
        ),
        head=dict(refine=None),
    )
)
custom_hooks = {{_base_.stage_hooks}}
default_hooks = {{_base_.short_hooks}}
log_processor = dict(by_epoch=False)
