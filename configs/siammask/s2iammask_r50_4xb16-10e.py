# S2iamMask: a second stage on SiamMask's first, in which the best candidates vote for the mask;
# test: DAVIS-2016.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/datasets/siamese_pairs.py',
    '../_base_/schedules/siammask_vote.py',
    '../_base_/default_runtime.py',
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
            min_area=1600.0,
        ),
    )
)
train_dataloader = dict(dataset=dict(samples=[100_000, 100_000], negative=0.0))

custom_hooks = {{_base_.stage_hooks}}
default_hooks = dict(checkpoint=dict(save_best='davis/J&F_mean', rule='greater'))
