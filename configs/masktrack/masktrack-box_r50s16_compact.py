# MaskTrack-Box: the shipped model told a box instead of a mask. Test: DAVIS-2016.
_base_ = [
    '../_base_/models/masktrack_r50s16.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]

test_dataloader = dict(dataset=dict(prompt='box'))
