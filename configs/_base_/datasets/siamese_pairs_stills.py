# Pairs from still images, whose second view moves before another image, and from DAVIS; both with
# pasted look-alikes. data/DAVIS as published.
_base_ = './static_images.py'

load_frames = dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')])
make_sample = [
    dict(type='mmvos.CropPair', search_size=255, search_shift=64, search_scale=0.25, flip=0.5),
    dict(type='mmvos.ColorClip'),
    dict(type='mmvos.ColorPair', gray=0.15, blur=0.18),
    dict(type='mmvos.PackPair'),
]
# By source: a third of the objects are persons.
static_samples = {
    'coco': 300,
    'ecssd': 200,
    'duts': 140,
    'sod': 80,
    'cats': 70,
    'pennfudan': 60,
    'humans': 50,
    'ccp': 40,
    'camvid': 40,
    'coco-persons': 60,
}
train_dataloader = dict(
    batch_size=12,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type='mmvos.MaskPairDataset',
                sources=[
                    dict(_base_.static_images, type='mmvos.ImagePairs', image_sets=[name])
                    for name in static_samples
                ],
                samples=list(static_samples.values()),
                negative=0.2,
                pipeline=[
                    load_frames,
                    dict(_base_.static_images, type='mmvos.SurroundPair'),
                    _base_.paste_objects,
                    dict(type='mmvos.SimulatePairMotion'),
                    *make_sample,
                ],
            ),
            dict(
                type='mmvos.MaskPairDataset',
                sources=[
                    dict(
                        type='mmvos.MaskFolderPairs',
                        data_root='data/DAVIS',
                        split='2016/train',
                        frame_range=40,
                        from_start=0.3,
                        previous=True,
                    )
                ],
                samples=[800],
                negative=0.15,
                pipeline=[load_frames, _base_.paste_objects, *make_sample],
            ),
        ],
    ),
)
