# The nearest to MaskTrack's public code: ResNet-101 with dilated stages (stride 8), the guide at
# the stem of the frame's crop, plain propagation without remembered frames, and the hard rule where
# objects meet. DeepLab's four parallel classifiers are the head's coarsest level here.
_base_ = [
    '../_base_/models/masktrack_r50s16.py',
    '../_base_/datasets/mask_clips.py',
    '../_base_/datasets/davis2017.py',
    '../_base_/schedules/masktrack_20k.py',
    '../_base_/default_runtime.py',
]

# any ResNet-101 with torchvision's names (--cfg-options load_from=PATH)
load_from = 'checkpoints/resnet101.pth'

model = dict(
    merge='hard',
    tracker=dict(
        backbone=dict(
            depth=101,
            num_stages=4,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            out_indices=(0, 1, 3),
        ),
        head=dict(in_channels=(64, 256, 512, 2048), reference=False),
        strides=(2, 4, 8, 8),
    ),
)

davis_clips = dict(_base_.video_clips, split='2017/train')
train_dataloader = dict(dataset=dict(datasets=[davis_clips]))

default_hooks = {{_base_.clip_hooks}}
log_processor = dict(by_epoch=False)
