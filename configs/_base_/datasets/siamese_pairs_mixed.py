# Pairs from few data: DAVIS, videos composed from it (mmvos compose), and COCO-style images;
# mirrored, as they are few.
train_pipeline = [
    dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')]),
    dict(type='mmvos.CropPair', search_size=255, search_shift=64, flip=0.5),
    dict(type='mmvos.ColorPair', gray=0.25, blur=0.18),
    dict(type='mmvos.PackPair'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmvos.MaskPairDataset',
        sources=[
            dict(
                type='mmvos.MaskFolderPairs',
                data_root='data/DAVIS',
                split='2016/train',
                frame_range=20,
            ),
            dict(type='mmvos.MaskFolderPairs', data_root='data/composed/train', frame_range=20),
            dict(
                type='mmvos.ImagePairs',
                data_root='data/coco/',
                ann_file='instances.json',
                data_prefix=dict(img_path='images'),
            ),
        ],
        samples=[6400, 6400, 6400],
        negative=0.2,
        pipeline=train_pipeline,
    ),
)
