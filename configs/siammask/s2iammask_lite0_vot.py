# The light S2iamMask; test: VOT-2018.
_base_ = [
    '../_base_/models/s2iammask_lite0.py',
    '../_base_/datasets/vot.py',
    '../_base_/default_runtime.py',
]
