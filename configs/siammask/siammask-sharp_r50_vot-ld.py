# Second stage of SiamMask with the settings for the published SiamMask_VOT_LD.pth or pysot's
# siammask_r50_l3; test: VOT-2018.
_base_ = [
    '../_base_/models/siammask_r50.py',
    '../_base_/datasets/vot.py',
    '../_base_/datasets/siamese_pairs_refine.py',
    '../_base_/schedules/siammask_refine.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/siammask-base_r50_4xb16-20e/epoch_20.pth'
model = dict(
    tracker=dict(
        mask_threshold=0.15,
        penalty=0.10,
        window_influence=0.41,
        size_rate=0.32,
        loss_weights=(0.0, 0.0, 36.0),
    )
)

custom_hooks = {{_base_.stage_hooks}}
default_hooks = dict(checkpoint=dict(save_best='vot/EAO', rule='greater'))
