# MaskTrack R-CNN, ResNet-101, YouTube-VIS 2019.
_base_ = [
    '../_base_/models/masktrack-rcnn_r50_fpn.py',
    '../_base_/datasets/youtube_vis.py',
    '../_base_/schedules/masktrack-rcnn_12e.py',
    '../_base_/default_runtime.py',
]

# Mask R-CNN R101-FPN trained on COCO, mmdet's format (path or URL). README.md beside this file says
# where to get one.
load_from = 'checkpoints/mask_rcnn_r101_fpn_1x_coco.pth'

model = dict(detector=dict(backbone=dict(depth=101)))
