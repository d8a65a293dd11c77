# The held-back sample videos (mmvos sample-videos) for validation and test: several objects, each
# given by its mask in the first frame that shows it; dataset.prompt='box' for boxes.
#
# data/sample/{train,valid}/{JPEGImages,Annotations}
_base_ = './davis.py'

data_root = 'data/sample/'
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale=(320, 180), keep_ratio=True),
        ],
    ),
    dict(type='PackTrackInputs', default_meta_keys={{_base_.meta_keys}}),
]
val_dataloader = dict(
    dataset=dict(
        data_root=data_root + 'valid',
        split=None,
        layout='youtube-vos',
        merge_objects=False,
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='mmvos.YouTubeVOSMetric', ground_truth=data_root + 'valid')
test_evaluator = val_evaluator
