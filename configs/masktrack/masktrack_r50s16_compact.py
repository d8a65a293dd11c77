# The shipped model, weights/masktrack_compact.safetensors: masks and boxes of any objects. Test:
# DAVIS-2016.
_base_ = [
    '../_base_/models/masktrack_r50s16.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]
