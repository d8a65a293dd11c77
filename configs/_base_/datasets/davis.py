# DAVIS-2016 for validation and test: one object per video, given by its mask in the first frame.
#
# data/DAVIS/                        as published
#   JPEGImages/480p/SEQ/FRAME.jpg Annotations/480p/SEQ/FRAME.png ImageSets/2016/val.txt
#
# DAVIS-2017, several objects: dataset.split='2017/val', dataset.merge_objects=False, and year=2017
# in the evaluators. MaskTrack-Box: dataset.prompt='box'.
data_root = 'data/DAVIS'
meta_keys = (
    'img_id',
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'frame_id',
    'video_id',
    'video_length',
)

test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            # short edge 480, the size of DAVIS
            dict(type='Resize', scale=(2000, 480), keep_ratio=True),
        ],
    ),
    dict(type='PackTrackInputs', default_meta_keys=meta_keys),
]
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmvos.VideoSampler'),
    dataset=dict(
        type='mmvos.MaskVideoDataset',
        data_root=data_root,
        split='2016/val',
        merge_objects=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmvos.DAVISMetric', ground_truth=data_root, year=2016, split='val')
test_evaluator = val_evaluator
