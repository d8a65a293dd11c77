# RGB normalized by mean and standard deviation of ImageNet, as torchvision's weights take it.
imagenet_rgb = dict(
    type='TrackDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_mask=False,
)
