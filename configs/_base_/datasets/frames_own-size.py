# The test pipeline of a tracker that cuts its windows out of the frames as they are.
own_size = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale_factor=1.0, keep_ratio=True),
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
