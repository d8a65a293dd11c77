"""Transforms that mmdet and mmcv do not have."""
from .color_clip import ColorClip
from .crop_clip import CropClip
from .deform_guides import DeformGuides
from .load_frame import LoadFrame
from .pack_clip import PackClip
from .warp_clip import WarpClip

__all__ = ['ColorClip', 'CropClip', 'DeformGuides', 'LoadFrame', 'PackClip', 'WarpClip']
