"""Imports all video models and their parts, and so registers them; mmengine imports this file when
a config names one. A new model is a line here.
"""

from .efficientnet_lite import EfficientNetLite
from .masktrack import GuidedEfficientNetLite, GuidedResNet, MaskPropagator, PropagationHead
from .masktrack_rcnn import (
    InstanceMemory,
    LegacyBBoxHead,
    LegacyBoxCoder,
    LegacyRoIExtractor,
    LegacyRPNHead,
    MaskTrackRCNN,
    PyramidRoIExtractor,
    RPNHead,
    TrackHead,
)
from .parts import PartTracker
from .prompted_segmenter import PromptedSegmenter
from .siammask import (
    AdjustLayer,
    CropFeatures,
    DepthwiseXCorr,
    MaskRefiner,
    PyramidFeatures,
    SiameseEfficientNet,
    SiameseHead,
    SiameseResNet,
    SiameseTracker,
    VotingMaskHead,
)
from .video_model import VideoModel
from .video_steps import VideoSteps

__all__ = [
    'AdjustLayer',
    'CropFeatures',
    'DepthwiseXCorr',
    'EfficientNetLite',
    'GuidedEfficientNetLite',
    'GuidedResNet',
    'InstanceMemory',
    'LegacyBBoxHead',
    'LegacyBoxCoder',
    'LegacyRPNHead',
    'LegacyRoIExtractor',
    'MaskPropagator',
    'MaskRefiner',
    'MaskTrackRCNN',
    'PartTracker',
    'PromptedSegmenter',
    'PropagationHead',
    'PyramidFeatures',
    'PyramidRoIExtractor',
    'RPNHead',
    'SiameseEfficientNet',
    'SiameseHead',
    'SiameseResNet',
    'SiameseTracker',
    'TrackHead',
    'VideoModel',
    'VideoSteps',
    'VotingMaskHead',
]
