# Part tracking: SiamMask on a feature pyramid follows the parts, MaskTrack's compact model makes
# the masks.
_base_ = ['./siammask_fpn_r50.py']
model = dict(
    merge='soft',
    tracker=dict(
        _delete_=True,
        type='mmvos.PartTracker',
        matcher={{_base_.model.tracker}},
        propagator=dict(
            type='mmvos.MaskPropagator',
            backbone=dict(
                type='mmvos.GuidedResNet',
                depth=50,
                num_stages=3,
                strides=(1, 2, 2),
                dilations=(1, 1, 1),
                out_indices=(0, 1, 2),
                out_stem=True,
                norm_cfg=dict(type='BN', requires_grad=False),
                norm_eval=True,
                style='pytorch',
            ),
            head=dict(
                type='mmvos.PropagationHead', in_channels=(64, 256, 512, 1024), reference=True
            ),
            strides=(2, 4, 8, 16),
            mode='crop',
        ),
        parts=32,
        attention=0.5,
        min_score_ratio=0.5,
        window_influence=0.2,
        context=2.0,
        resample=5,
    ),
)
