"""Video models and their parts."""

from .backbones.crop_features import CropFeatures
from .backbones.guided_resnet import GuidedResNet
from .backbones.pyramid_features import PyramidFeatures
from .backbones.siamese_resnet import SiameseResNet
from .heads.legacy_numerics import LegacyBBoxHead, LegacyBoxCoder, LegacyRoIExtractor
from .heads.propagation_head import PropagationHead
from .heads.roi_extractor import PyramidRoIExtractor
from .heads.rpn_head import RPNHead
from .heads.siamese_head import MaskRefiner, SiameseHead
from .heads.track_head import TrackHead
from .heads.voting_head import VotingMaskHead
from .masktrack_rcnn import MaskTrackRCNN
from .necks.siamese_adjust import SiameseAdjust
from .necks.siamese_correlation import SiameseCorrelation
from .prompted_segmenter import PromptedSegmenter
from .trackers.instance_memory import InstanceMemory
from .trackers.mask_propagator import MaskPropagator
from .trackers.part_tracker import PartTracker
from .trackers.siamese_tracker import SiameseTracker
from .video_model import VideoModel

__all__ = [
    'CropFeatures',
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
    'SiameseAdjust',
    'SiameseCorrelation',
    'SiameseHead',
    'SiameseResNet',
    'SiameseTracker',
    'TrackHead',
    'VideoModel',
    'VotingMaskHead',
]
