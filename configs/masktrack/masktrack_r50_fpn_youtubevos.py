# MaskTrack on ResNet-50 and FPN: trained on the videos of YouTube-VOS and the images of COCO,
# tested on YouTube-VOS.
_base_ = [
    '../_base_/models/masktrack_r50_fpn.py',
    '../_base_/datasets/mask_clips.py',
    '../_base_/datasets/youtube_vos.py',
    '../_base_/schedules/masktrack_20k.py',
    '../_base_/default_runtime.py',
]

# any ResNet-50 with torchvision's names (--cfg-options load_from=PATH)
load_from = 'checkpoints/resnet50.pth'

model = dict(tracker=dict(roi_ratio=0.5))

youtube_vos_clips = dict(
    type='mmvos.MaskClipDataset',
    data_root='data/youtube_vos/train',
    clip_length={{_base_.clip_length}},
    max_gap=3,  # annotated frames, every fifth of the video
    samples_per_epoch=8000,
    pipeline={{_base_.video_clips.pipeline}},
)
train_dataloader = dict(dataset=dict(datasets=[youtube_vos_clips, {{_base_.static_clips}}]))

default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=1000, save_best='youtube_vos/J&F_mean'),
)
log_processor = dict(by_epoch=False)
