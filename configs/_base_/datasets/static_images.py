# Still images with masks, to learn from and to paste objects of: data/static is any image set in
# COCO's format whose images name their source.
static_images = dict(
    ann_file='instances.json', data_root='data/static/', data_prefix=dict(img_path='images')
)
paste_objects = dict(type='mmvos.PasteObjects', **static_images)
