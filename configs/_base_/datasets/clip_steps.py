# How a clip of one object is made for the training of mask propagation.
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
