# YouTube-VIS 2019: pairs of frames for training, single frames in order for validation and test.
#
# data/youtube_vis_2019/
#   train.json valid.json                     as published
#   train_sub.json valid_sub.json              the videos of train.json in two parts, so that AP can
#   be computed locally
#   train/JPEGImages/VIDEO/FRAME.jpg valid/JPEGImages/VIDEO/FRAME.jpg
#
# For the number of the server train on train.json: train_dataloader.dataset.ann_file='train.json'.
data_root = 'data/youtube_vis_2019/'
# long edge at most 640, short edge at most 360; smaller frames are enlarged
image_scale = (640, 360)
meta_keys = (
    'img_id',
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'frame_id',
    'video_id',
    'video_length',
)

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one flip for both frames of a pair
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='mmvos.LoadInstances'),
            dict(type='Resize', scale=image_scale, keep_ratio=True),
            dict(type='mmvos.FlipFrame', prob=0.5),
        ],
    ),
    # no loss reads the masks of the reference frame
    dict(type='mmvos.PackFrames', meta_keys=meta_keys, decode_references=False),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale=image_scale, keep_ratio=True),
        ],
    ),
    dict(type='PackTrackInputs', default_meta_keys=meta_keys),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmvos.OrientationBatchSampler'),
    dataset=dict(
        type='mmvos.YouTubeVISDataset',
        data_root=data_root,
        ann_file='train_sub.json',
        data_prefix=dict(img_path='train/JPEGImages'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='mmvos.VideoSampler'),
    dataset=dict(
        type='mmvos.YouTubeVISDataset',
        data_root=data_root,
        ann_file='valid_sub.json',
        data_prefix=dict(img_path='train/JPEGImages'),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='mmvos.VideoSampler'),
    dataset=dict(
        type='mmvos.YouTubeVISDataset',
        data_root=data_root,
        ann_file='valid.json',
        data_prefix=dict(img_path='valid/JPEGImages'),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

val_evaluator = dict(type='mmvos.YouTubeVISMetric', ann_file=data_root + 'valid_sub.json')
test_evaluator = dict(type='mmvos.YouTubeVISMetric', ann_file=data_root + 'valid.json')
