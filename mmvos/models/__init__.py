"""Video models and their parts."""
from .backbones.guided_resnet import GuidedResNet
from .heads.propagation_head import PropagationHead
from .heads.roi_extractor import PyramidRoIExtractor
from .heads.rpn_head import RPNHead
from .heads.track_head import TrackHead
from .masktrack_rcnn import MaskTrackRCNN
from .prompted_segmenter import PromptedSegmenter
from .trackers.instance_memory import InstanceMemory
from .trackers.mask_propagator import MaskPropagator
from .video_model import VideoModel

__all__ = [
    'GuidedResNet', 'InstanceMemory', 'MaskPropagator', 'MaskTrackRCNN', 'PromptedSegmenter', 'PropagationHead',
    'PyramidRoIExtractor', 'RPNHead', 'TrackHead', 'VideoModel'
]
