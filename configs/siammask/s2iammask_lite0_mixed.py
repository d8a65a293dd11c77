# The light SiamMask goes on together with a voting head of S2iamMask, which learns on what the
# first stage gives and has no influence on it. Unlike the published head it makes masks of
# 128 x 128 pixels, from finer backbone features.
_base_ = [
    '../_base_/models/siammask_lite0.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs_stills.py',
    '../_base_/schedules/siammask_light.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/siammask-sharp_lite0_mixed/iter_1300.pth'
iterations = 450
model = dict(
    tracker=dict(
        _base_.light_pairs,
        voting=dict(
            type='mmvos.VotingMaskHead',
            channels=128,
            roi_size=16,
            fine_channels=(40, 24, 16),
            max_regions=2,
        ),
        joint_voting=True,
    )
)
val_dataloader = dict(dataset=dict(prompt='box'))
test_dataloader = dict(dataset=dict(prompt='box'))

train_cfg = dict(max_iters=iterations, val_interval=iterations)
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = iterations
custom_hooks = {{_base_.stage_hooks}}
default_hooks = {{_base_.light_hooks}}
log_processor = dict(by_epoch=False)
