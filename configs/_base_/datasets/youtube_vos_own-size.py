# YouTube-VOS with frames in their own size.
_base_ = ['./youtube_vos.py', './frames_own-size.py']

test_pipeline = {{_base_.own_size}}
val_dataloader = dict(dataset=dict(pipeline={{_base_.own_size}}))
test_dataloader = dict(dataset=dict(pipeline={{_base_.own_size}}))
