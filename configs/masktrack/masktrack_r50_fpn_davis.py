# MaskTrack on ResNet-50 and FPN: trained on videos of DAVIS-2017 and images of COCO, tested on
# DAVIS-2017 (several objects).
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

davis_clips = dict(
    type='mmvos.MaskClipDataset',
    data_root='data/DAVIS',
    split='2017/train',
    clip_length={{_base_.clip_length}},
    samples_per_epoch=4000,
    pipeline={{_base_.video_clips.pipeline}},
)
train_dataloader = dict(dataset=dict(datasets=[davis_clips, {{_base_.static_clips}}]))
val_dataloader = dict(dataset=dict(split='2017/val', merge_objects=False))
test_dataloader = dict(dataset=dict(split='2017/val', merge_objects=False))
val_evaluator = dict(year=2017)
test_evaluator = dict(year=2017)

default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=1000, save_best='davis/J_mean'),
)
log_processor = dict(by_epoch=False)
