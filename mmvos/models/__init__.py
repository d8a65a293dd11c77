"""Video models and their parts."""

from .backbones.guided_efficientnet import GuidedEfficientNetLite
from .backbones.guided_resnet import GuidedResNet
from .heads.legacy_numerics import LegacyBBoxHead, LegacyBoxCoder, LegacyRoIExtractor
from .heads.propagation_head import PropagationHead
from .heads.roi_extractor import PyramidRoIExtractor
from .heads.rpn_head import RPNHead
from .heads.track_head import TrackHead
from .masktrack_rcnn import MaskTrackRCNN
from .parts import PartTracker
from .prompted_segmenter import PromptedSegmenter
from .siammask import (
    AdjustLayer,
    CropFeatures,
    DepthwiseXCorr,
    MaskRefiner,
    PyramidFeatures,
    SiameseHead,
    SiameseResNet,
    SiameseTracker,
    VotingMaskHead,
)
from .trackers.instance_memory import InstanceMemory
from .trackers.mask_propagator import MaskPropagator
from .video_model import VideoModel

__all__ = [
    'AdjustLayer',
    'CropFeatures',
    'DepthwiseXCorr',
    'GuidedEfficientNetLite',
    'GuidedResNet',
    'InstanceMemory',
    'LegacyBBoxHead',
    'LegacyBoxCoder',
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
    'SiameseHead',
    'SiameseResNet',
    'SiameseTracker',
    'TrackHead',
    'VideoModel',
    'VotingMaskHead',
]
