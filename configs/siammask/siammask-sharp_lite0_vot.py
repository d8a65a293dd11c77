# The light SiamMask with refined masks; test: VOT-2018.
_base_ = [
    '../_base_/models/siammask_lite0.py',
    '../_base_/datasets/vot.py',
    '../_base_/default_runtime.py',
]
