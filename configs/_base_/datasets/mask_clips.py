# Clips of one object with guides, to train mask propagation: two thirds from the videos of DAVIS,
# one third from COCO's images in motion.
#
# data/DAVIS/                        as published; other videos with masks in folders (YouTube-VOS)
# go in the same way
#   JPEGImages/480p/SEQ/FRAME.jpg Annotations/480p/SEQ/FRAME.png ImageSets/2016/train.txt
# data/coco/
#   annotations/instances_train2017.json train2017/IMAGE.jpg
clip_length = 3

load_frames = dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')])
make_sample = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one flip for all frames of a clip
        transforms=[dict(type='RandomFlip', prob=0.5)],
    ),
    dict(type='mmvos.ColorClip'),
    dict(type='mmvos.CropClip', size=384),
    dict(type='mmvos.DeformGuides'),
    dict(type='mmvos.PackClip'),
]
video_clips = dict(
    type='mmvos.MaskClipDataset',
    data_root='data/DAVIS',
    split='2016/train',
    clip_length=clip_length,
    samples_per_epoch=4000,
    pipeline=[load_frames, *make_sample],
)
static_clips = dict(
    type='mmvos.ImageClipDataset',
    data_root='data/coco',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img_path='train2017'),
    samples_per_epoch=2000,
    pipeline=[
        load_frames,
        dict(type='mmvos.SimulateMotion', clip_length=clip_length),
        *make_sample,
    ],
)

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ConcatDataset', datasets=[video_clips, static_clips]),
)
