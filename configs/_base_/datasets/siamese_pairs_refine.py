# Pairs for the stage that refines masks: small search windows with the object near the middle, no
# negative pairs, 200,000 pairs an epoch.
_base_ = './siamese_pairs.py'

train_pipeline = [
    dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')]),
    dict(type='mmvos.CropPair', search_size=143, search_shift=8),
    dict(type='mmvos.ColorPair', gray=0.25, blur=0.18),
    dict(type='mmvos.PackPair'),
]
train_dataloader = dict(
    dataset=dict(samples=[100_000, 100_000], negative=0.0, pipeline=train_pipeline)
)
