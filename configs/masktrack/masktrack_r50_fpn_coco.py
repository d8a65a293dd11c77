# MaskTrack as in the paper: trained on static images alone (any set in COCO's format), tested on
# DAVIS-2016. ResNet-50 and FPN.
_base_ = [
    '../_base_/models/masktrack_r50_fpn.py',
    '../_base_/datasets/mask_clips.py',
    '../_base_/datasets/davis.py',
    '../_base_/schedules/masktrack_20k.py',
    '../_base_/default_runtime.py',
]

# any ResNet-50 with torchvision's names (--cfg-options load_from=PATH)
load_from = 'checkpoints/resnet50.pth'

model = dict(tracker=dict(roi_ratio=0.5))

train_dataloader = dict(dataset=dict(datasets=[{{_base_.static_clips}}]))

default_hooks = {{_base_.clip_hooks}}
log_processor = dict(by_epoch=False)
