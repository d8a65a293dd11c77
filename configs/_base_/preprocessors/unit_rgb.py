# RGB from -1 to 1, as the weights of EfficientNet-Lite take it.
unit_rgb = dict(
    type='TrackDataPreprocessor',
    mean=[127.0, 127.0, 127.0],
    std=[128.0, 128.0, 128.0],
    bgr_to_rgb=True,
    pad_mask=False,
)
