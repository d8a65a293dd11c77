# Part tracking on the light models; any objects that are given by a mask, a box or points. Test:
# DAVIS-2016.
_base_ = [
    '../_base_/models/parts_lite0.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]

# A part moves by its own side in a frame at most.
model = dict(tracker=dict(matcher=dict(search_size=191)))
