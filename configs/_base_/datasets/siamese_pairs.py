# Pairs of a template and a search frame for the training of a siamese tracker, cut out of whole
# frames on the fly.
#
# data/youtube_vos/train/{JPEGImages,Annotations}   as published (YouTube-VOS 2018); DAVIS and any
# folder of that layout fit too data/coco/annotations/instances_train2017.json, data/coco/train2017
#
# The published training also draws from ImageNet VID and DET, which have boxes alone; a COCO-style
# JSON without segmentations (mmvos.ImagePairs) takes the place of the second.
train_pipeline = [
    dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')]),
    dict(type='mmvos.CropPair', search_size=255, search_shift=64),
    dict(type='mmvos.ColorPair', gray=0.25, blur=0.18),
    dict(type='mmvos.PackPair'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmvos.OrientationBatchSampler'),
    dataset=dict(
        type='mmvos.MaskPairDataset',
        sources=[
            dict(
                type='mmvos.MaskFolderPairs',
                data_root='data/youtube_vos/train',
                frame_range=20,
                min_area=1001,
                published_crops=True,
            ),
            dict(
                type='mmvos.ImagePairs',
                data_root='data/coco/',
                ann_file='annotations/instances_train2017.json',
                data_prefix=dict(img_path='train2017'),
                min_area=1,
                crowds=True,
            ),
        ],
        samples=[400_000, 200_000],
        negative=0.2,
        pipeline=train_pipeline,
    ),
)
