# Part tracking on a feature pyramid, tested on DAVIS-2016. Weights: mmvos weights join, see
# README.md. Other numbers of parts: --cfg-options model.tracker.parts=300
_base_ = [
    '../_base_/models/parts_r50_fpn.py',
    '../_base_/datasets/davis.py',
    '../_base_/default_runtime.py',
]

model = dict(tracker=dict(matcher=dict(head=dict(refine=None))))
