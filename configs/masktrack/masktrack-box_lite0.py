# MaskTrack-Box: the light model given a box instead of a mask. Test: DAVIS-2016.
_base_ = [
    '../_base_/models/masktrack_lite0.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]

test_dataloader = dict(dataset=dict(prompt='box'))
