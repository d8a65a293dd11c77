"""Video models and their parts."""
from .heads.roi_extractor import PyramidRoIExtractor
from .heads.rpn_head import RPNHead
from .heads.track_head import TrackHead
from .masktrack_rcnn import MaskTrackRCNN
from .trackers.instance_memory import InstanceMemory
from .video_model import VideoModel

__all__ = ['InstanceMemory', 'MaskTrackRCNN', 'PyramidRoIExtractor', 'RPNHead', 'TrackHead', 'VideoModel']
