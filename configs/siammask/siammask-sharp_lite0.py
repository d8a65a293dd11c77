# The light SiamMask with refined masks: any objects that are given by a box. Test: DAVIS-2016.
_base_ = [
    '../_base_/models/siammask_lite0.py',
    '../_base_/datasets/davis_own-size.py',
    '../_base_/default_runtime.py',
]

val_dataloader = dict(dataset=dict(prompt='box'))
test_dataloader = dict(dataset=dict(prompt='box'))
