"""What users of the library call: models from config and checkpoint, videos in, results out."""
from .inference import VideoInferencer, init_model
from .sources import VideoSource, open_source
from .video_results import VideoResults, fingerprint

__all__ = ['VideoInferencer', 'VideoResults', 'VideoSource', 'fingerprint', 'init_model', 'open_source']
