# S2iamMask: a second stage on SiamMask's first, in which the best candidates vote for the mask; test: DAVIS-2016.
_base_ = [
    '../_base_/models/siammask_r50.py', '../_base_/datasets/davis.py', '../_base_/datasets/siamese_pairs.py',
    '../_base_/schedules/siammask_vote.py', '../_base_/default_runtime.py'
]

load_from = 'work_dirs/siammask-base_r50_4xb16-20e/epoch_20.pth'
model = dict(
    tracker=dict(
        head=dict(refine=None),
        voting=dict(
            type='mmvos.VotingMaskHead',
            channels=256,
            top_k=10,
            iou_weight=0.7,
            enlarge=0.4,
            mask_threshold=0.2,
            min_votes=6,
            smallest=1600.0)))
train_dataloader = dict(dataset=dict(samples=[100_000, 100_000], negative=0.0))

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
