# YouTube-VOS for validation and test: several objects per video, each given by its mask in the
# first frame that shows it.
#
# data/youtube_vos/
#   valid/JPEGImages/VIDEO/FRAME.jpg valid/Annotations/VIDEO/FRAME.png valid/meta.json
#                                      as published, with first masks only; OUT.zip is what the
#                                      server takes
#   held_out/JPEGImages held_out/Annotations held_out/meta.json
#                                      some videos of train, taken out of it, so that J and F can be
#                                      computed locally
data_root = 'data/youtube_vos'

test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale=(2000, 480), keep_ratio=True),  # short edge 480
        ],
    ),
    dict(
        type='PackTrackInputs',
        default_meta_keys=(
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'frame_id',
            'video_id',
            'video_length',
        ),
    ),
]
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmvos.VideoSampler'),
    dataset=dict(
        type='mmvos.MaskVideoDataset',
        data_root=data_root + '/held_out',
        layout='youtube-vos',
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='mmvos.VideoSampler'),
    dataset=dict(
        type='mmvos.MaskVideoDataset',
        data_root=data_root + '/valid',
        layout='youtube-vos',
        pipeline=test_pipeline,
    ),
)

val_evaluator = dict(type='mmvos.YouTubeVOSMetric', ground_truth=data_root + '/held_out')
test_evaluator = dict(type='mmvos.YouTubeVOSMetric', ground_truth=data_root + '/valid')
