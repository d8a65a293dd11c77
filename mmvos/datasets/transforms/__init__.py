"""Transforms that mmdet and mmcv do not have."""

from .color_clip import ColorClip
from .color_pair import ColorPair
from .crop_clip import CropClip
from .crop_pair import CropPair
from .deform_guides import DeformGuides
from .flip_frame import FlipFrame
from .load_frame import LoadFrame
from .load_instances import LoadInstances
from .pack_clip import PackClip
from .pack_frames import PackFrames
from .pack_pair import PackPair
from .paste_objects import PasteObjects
from .scalar_resize import ScalarResize
from .simulate_clicks import SimulateClicks
from .simulate_motion import SimulateMotion, SimulatePairMotion
from .surround_pair import SurroundPair

__all__ = [
    'ColorClip',
    'ColorPair',
    'CropClip',
    'CropPair',
    'DeformGuides',
    'FlipFrame',
    'LoadFrame',
    'LoadInstances',
    'PackClip',
    'PackFrames',
    'PackPair',
    'PasteObjects',
    'ScalarResize',
    'SimulateClicks',
    'SimulateMotion',
    'SimulatePairMotion',
    'SurroundPair',
]
