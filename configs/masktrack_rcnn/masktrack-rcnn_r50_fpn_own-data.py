# MaskTrack R-CNN on own videos in YouTube-VIS format: copy this file, set the four values below.
#   mmvos convert split_youtube_vis makes train_sub.json and valid_sub.json from one
#   annotation file.
_base_ = [
    '../_base_/models/masktrack-rcnn_r50_fpn.py',
    '../_base_/datasets/youtube_vis.py',
    '../_base_/schedules/masktrack-rcnn_12e.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/own/'
frames = 'JPEGImages'  # the folder that the file names in the JSON are relative to
classes = ('cat', 'dog')  # names of categories in the JSON; their order is the order of the labels
# Mask R-CNN R50-FPN trained on COCO (path or URL); None: from scratch
load_from = 'checkpoints/mask_rcnn_r50_fpn_1x_coco.pth'

model = dict(
    detector=dict(
        roi_head=dict(
            bbox_head=dict(num_classes=len(classes)), mask_head=dict(num_classes=len(classes))
        )
    )
)

videos = dict(
    data_root=data_root, data_prefix=dict(img_path=frames), metainfo=dict(classes=classes)
)
train_dataloader = dict(dataset=dict(videos, ann_file='train_sub.json'))
val_dataloader = dict(dataset=dict(videos, ann_file='valid_sub.json'))
test_dataloader = dict(dataset=dict(videos, ann_file='valid_sub.json'))
val_evaluator = dict(ann_file=data_root + 'valid_sub.json')
test_evaluator = dict(ann_file=data_root + 'valid_sub.json')

# One GPU with 8 pairs instead of four: a quarter of the learning rate.
optim_wrapper = dict(optimizer=dict(lr=0.00125))
# what this learning rate is for; --auto-scale-lr fits it to another batch
auto_scale_lr = dict(base_batch_size=8)
