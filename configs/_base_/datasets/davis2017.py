# DAVIS-2017 for validation and test: several objects per video, each given by its mask in the first
# frame.
_base_ = './davis.py'

val_dataloader = dict(dataset=dict(split='2017/val', merge_objects=False))
test_dataloader = dict(dataset=dict(split='2017/val', merge_objects=False))
val_evaluator = dict(year=2017)
test_evaluator = dict(year=2017)
