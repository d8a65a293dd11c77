# The light SiamMask model, trained in one go on pairs from still images and videos. Test: DAVIS.
_base_ = [
    '../_base_/models/siammask_lite0.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs_stills.py',
    '../_base_/schedules/siammask_light.py',
    '../_base_/default_runtime.py',
]

load_from = 'checkpoints/siamese_efficientnet_lite0.pth'  # of mmvos weights convert
model = dict(tracker={{_base_.light_pairs}})
val_dataloader = dict(dataset=dict(prompt='box'))
test_dataloader = dict(dataset=dict(prompt='box'))

custom_hooks = {{_base_.stage_hooks}}
default_hooks = {{_base_.light_hooks}}
log_processor = dict(by_epoch=False)
