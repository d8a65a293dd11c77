# The light model: masks, boxes and clicks of any objects. Test: DAVIS-2016.
_base_ = [
    '../_base_/models/masktrack_lite0.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]
