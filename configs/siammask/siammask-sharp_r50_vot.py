# Second stage of SiamMask with the settings for VOT-2016, 2018 and 2019 and the published SiamMask_VOT.pth.
_base_ = [
    '../_base_/models/siammask_r50.py', '../_base_/datasets/davis.py', '../_base_/datasets/siamese_pairs.py',
    '../_base_/schedules/siammask_refine.py', '../_base_/default_runtime.py'
]

load_from = 'work_dirs/siammask-base_r50_4xb16-20e/epoch_20.pth'
model = dict(
    tracker=dict(
        mask_threshold=0.3,
        penalty=0.04,
        window_influence=0.42,
        size_rate=0.25,
        loss_weights=(0.0, 0.0, 36.0)))

train_pipeline = [
    dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')]),
    dict(type='mmvos.CropPair', search_size=143, search_shift=8),
    dict(type='mmvos.ColorPair', gray=0.25, blur=0.18),
    dict(type='mmvos.PackPair'),
]
train_dataloader = dict(dataset=dict(samples=[100_000, 100_000], negative=0.0, pipeline=train_pipeline))

test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale_factor=1.0, keep_ratio=True),  # windows are cut out of the frames as they are
        ]),
    dict(
        type='PackTrackInputs',
        default_meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'frame_id', 'video_id',
                           'video_length')),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

custom_hooks = {{_base_.stage_hooks}}
default_hooks = dict(checkpoint=dict(save_best='davis/J&F_mean', rule='greater'))
