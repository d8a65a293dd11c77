"""What users of the library call: models by name or from config and checkpoint, videos in, results
out. What needs torch is imported when somebody asks for it.
"""

from typing import TYPE_CHECKING

from mmvos.deprecation import accept_old_names
from mmvos.lazy_imports import lazy_attributes

if TYPE_CHECKING:
    from .background import latest_only
    from .inference import VideoInferencer
    from .model_loading import init_model
    from .sources import open_source
    from .systems import SYSTEMS
    from .video_source import VideoSource

__all__ = [
    'SYSTEMS',
    'VideoInferencer',
    'VideoSource',
    'init_model',
    'latest_only',
    'open_source',
]

__getattr__ = accept_old_names(
    __name__,
    {'newest': 'latest_only'},
    lazy_attributes(
        __name__,
        {
            'background': ['latest_only'],
            'inference': ['VideoInferencer'],
            'model_loading': ['init_model'],
            'sources': ['open_source'],
            'systems': ['SYSTEMS'],
            'video_source': ['VideoSource'],
        },
    ),
)
