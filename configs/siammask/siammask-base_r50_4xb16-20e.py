# First stage of SiamMask (masks of 63 x 63 pixels): YouTube-VOS and COCO; test: DAVIS-2016. The initial weights are made by
# tools/convert_checkpoint.py from the ImageNet weights of the published code, or from any ResNet-50.
_base_ = [
    '../_base_/models/siammask_r50.py', '../_base_/datasets/davis.py', '../_base_/datasets/siamese_pairs.py',
    '../_base_/schedules/siammask_base.py', '../_base_/default_runtime.py'
]

load_from = 'checkpoints/siamese_resnet50.pth'
model = dict(tracker=dict(head=dict(refine=None)))

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
