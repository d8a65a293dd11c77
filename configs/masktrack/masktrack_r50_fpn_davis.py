# MaskTrack on ResNet-50 and FPN: trained on videos of DAVIS-2017 and images of COCO, tested on
# DAVIS-2017 (several objects).
_base_ = [
    '../_base_/models/masktrack_r50_fpn.py',
    '../_base_/datasets/mask_clips.py',
    '../_base_/datasets/davis2017.py',
    '../_base_/schedules/masktrack_20k.py',
    '../_base_/default_runtime.py',
]

# any ResNet-50 with torchvision's names (--cfg-options load_from=PATH)
load_from = 'checkpoints/resnet50.pth'

model = dict(tracker=dict(roi_ratio=0.5))

davis_clips = dict(_base_.video_clips, split='2017/train')
train_dataloader = dict(dataset=dict(datasets=[davis_clips, _base_.static_clips]))

default_hooks = {{_base_.clip_hooks}}
log_processor = dict(by_epoch=False)
