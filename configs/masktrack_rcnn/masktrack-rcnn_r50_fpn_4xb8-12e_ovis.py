# MaskTrack R-CNN, ResNet-50, OVIS (25 classes). The two parts of the training file for local
# scores: mmvos convert split_youtube_vis ... --out <data_root>
_base_ = [
    '../_base_/models/masktrack-rcnn_r50_fpn.py',
    '../_base_/datasets/youtube_vis.py',
    '../_base_/schedules/masktrack-rcnn_12e.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/ovis/'
# Mask R-CNN R50-FPN trained on COCO, mmdet's format (path or URL). README.md beside this file says
# where to get one.
load_from = 'checkpoints/mask_rcnn_r50_fpn_1x_coco.pth'

model = dict(
    detector=dict(roi_head=dict(bbox_head=dict(num_classes=25), mask_head=dict(num_classes=25)))
)
train_dataloader = dict(dataset=dict(data_root=data_root, data_prefix=dict(img_path='train')))
val_dataloader = dict(dataset=dict(data_root=data_root, data_prefix=dict(img_path='train')))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root, ann_file='annotations_valid.json', data_prefix=dict(img_path='valid')
    )
)
val_evaluator = dict(ann_file=data_root + 'valid_sub.json')
test_evaluator = dict(ann_file=data_root + 'annotations_valid.json')
