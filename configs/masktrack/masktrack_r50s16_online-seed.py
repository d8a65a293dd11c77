# Online fine-tuning with the samples and the schedule of MaskTrack's public code: 5 draws of 42
# images with 2 guides each, 10 epochs of SGD, gradients averaged over 8 batches of 2, learning rate
# a tenth after epochs 4 and 8. Test: DAVIS-2016.
_base_ = [
    '../_base_/models/masktrack_r50s16.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]

epoch = 210  # batches: 5 * 84 pairs / 2

test_cfg = dict(
    online=dict(
        type='mmvos.OnlineFineTuner',
        steps=10 * epoch,
        batch_size=2,
        iterations=5,
        optim_wrapper=dict(
            type='mmvos.SafeOptimWrapper',
            dtype='auto',
            accumulative_counts=8,
            optimizer=dict(type='SGD', lr=2.5e-3, momentum=0.9, weight_decay=1e-4),
            paramwise_cfg=dict(custom_keys={'tracker.head': dict(lr_mult=10)}),
            clip_grad=dict(max_norm=5, norm_type=2),
        ),
        param_scheduler=[
            dict(
                type='MultiStepLR',
                by_epoch=False,
                begin=0,
                end=10 * epoch,
                milestones=[4 * epoch, 8 * epoch],
                gamma=0.1,
            )
        ],
        pipeline=[
            dict(type='mmvos.ColorClip'),
            dict(type='mmvos.PackClip'),
        ],
    )
)
