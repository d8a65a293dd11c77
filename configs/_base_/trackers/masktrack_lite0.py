# MaskTrack on an EfficientNet-Lite0 to stride 16: a model of its own, and what makes the masks of
# light part tracking.
masktrack_lite0 = dict(
    type='mmvos.MaskPropagator',
    backbone=dict(type='mmvos.GuidedEfficientNetLite', guide_channels=2),
    head=dict(
        type='mmvos.PropagationHead',
        in_channels=(16, 24, 40, 112),
        channels=(16, 64, 96, 192),
        guide_channels=2,
        hard_ratio=0.25,
    ),
    strides=(2, 4, 8, 16),
    mode='crop',
    size=448,  # on held-back sequences J .824 at 320, .842 at 384, .867 at 448, .877 at 512
    calm_size=352,  # the same J on these sequences; a frame of calm objects takes 2/3 of the time
    idle_change=0.031,  # 4 gray levels; camera noise and H.264 change a cell by at most 3.3
    computed_objects=3,  # of more the others are carried by the optical flow
    clicks=True,
    box_prior=0.5,
)
