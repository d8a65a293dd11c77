# Clips of one object with guides, to train mask propagation: two thirds from the videos of DAVIS,
# one third from COCO's images in motion.
#
# data/DAVIS/                        as published; other videos with masks in folders (YouTube-VOS)
# go in the same way
#   JPEGImages/480p/SEQ/FRAME.jpg Annotations/480p/SEQ/FRAME.png ImageSets/2016/train.txt
# data/coco/
#   annotations/instances_train2017.json train2017/IMAGE.jpg
_base_ = './clip_steps.py'

video_clips = dict(
    type='mmvos.MaskClipDataset',
    data_root='data/DAVIS',
    split='2016/train',
    clip_length={{_base_.clip_length}},
    samples_per_epoch=4000,
    pipeline=[_base_.load_frames, *_base_.make_sample],
)
static_clips = dict(
    type='mmvos.ImageClipDataset',
    data_root='data/coco',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img_path='train2017'),
    samples_per_epoch=2000,
    pipeline=[
        _base_.load_frames,
        dict(type='mmvos.SimulateMotion', clip_length={{_base_.clip_length}}),
        *_base_.make_sample,
    ],
)

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ConcatDataset', datasets=[video_clips, static_clips]),
)
