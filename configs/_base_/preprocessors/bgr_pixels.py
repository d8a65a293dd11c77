# Images as they are: BGR from 0 to 255.
bgr_pixels = dict(
    type='TrackDataPreprocessor',
    mean=[0.0, 0.0, 0.0],
    std=[1.0, 1.0, 1.0],
    bgr_to_rgb=False,
    pad_mask=False,
)
