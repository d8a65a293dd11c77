"""What users of the library call: models by name or from config and checkpoint, videos in, results
out.
"""

from .background import newest
from .inference import VideoInferencer, init_model
from .sources import VideoSource, open_source
from .systems import SYSTEMS

__all__ = [
    'SYSTEMS',
    'VideoInferencer',
    'VideoSource',
    'init_model',
    'newest',
    'open_source',
]
