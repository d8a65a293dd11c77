# The shipped model, adapted to each video before it is segmented (online fine-tuning). Test:
# DAVIS-2016.
_base_ = [
    '../_base_/models/masktrack_r50s16.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]

test_cfg = dict(
    online=dict(
        type='mmvos.OnlineFineTuner',
        steps=40,
        batch_size=4,
        optim_wrapper=dict(
            type='mmvos.SafeOptimWrapper',
            dtype='auto',
            optimizer=dict(type='AdamW', lr=5e-5, weight_decay=0.01),
            paramwise_cfg=dict(custom_keys={'tracker.backbone': dict(lr_mult=0.2)}),
            clip_grad=dict(max_norm=5, norm_type=2),
        ),
        pipeline=[
            dict(type='mmvos.SimulateMotion', clip_length=2, scale=(0.6, 1.7)),
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[dict(type='RandomFlip', prob=0.5)],
            ),
            dict(type='mmvos.ColorClip'),
            dict(type='mmvos.CropClip', size=384),
            dict(type='mmvos.DeformGuides'),
            dict(type='mmvos.PackClip'),
        ],
    )
)
