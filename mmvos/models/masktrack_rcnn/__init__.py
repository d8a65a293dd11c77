"""MaskTrack R-CNN: a two-stage detector whose detections are matched to the instances seen
before.
"""

from .instance_memory import InstanceMemory
from .mmdet05_compat import LegacyBBoxHead, LegacyBoxCoder, LegacyRoIExtractor, LegacyRPNHead
from .model import MaskTrackRCNN
from .roi_extractor import PyramidRoIExtractor
from .rpn_head import RPNHead
from .track_head import TrackHead

__all__ = [
    'InstanceMemory',
    'LegacyBBoxHead',
    'LegacyBoxCoder',
    'LegacyRPNHead',
    'LegacyRoIExtractor',
    'MaskTrackRCNN',
    'PyramidRoIExtractor',
    'RPNHead',
    'TrackHead',
]
