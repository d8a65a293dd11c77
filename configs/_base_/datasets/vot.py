# VOT-2018 for validation and test: supervised runs, in which the tracker is started on the first
# region of a sequence and, five frames after it has lost the object, on that frame's region.
#
# data/VOT2018/SEQUENCE/groundtruth.txt data/VOT2018/SEQUENCE/color/FRAME.jpg   as published; own
# sequences too, with 4 numbers
#                                      (x, y, width, height) or 8 (corners) a line; the frames may
#                                      also lie beside the text
#
# VOT-2016 and 2019: dataset.data_root, and ground_truth and year in the evaluators; own sequences:
# interval=(LOW, HIGH), the lengths that EAO averages over.
_base_ = './frames_own-size.py'

data_root = 'data/VOT2018'
test_pipeline = {{_base_.own_size}}
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmvos.VideoSampler'),
    dataset=dict(type='mmvos.VOTDataset', data_root=data_root, pipeline={{_base_.own_size}}),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmvos.VOTMetric', ground_truth=data_root, year=2018)
test_evaluator = val_evaluator
