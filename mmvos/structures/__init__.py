"""What flows between the rooms: frames, prompts, results. torch and numpy only."""

from typing import TYPE_CHECKING

from mmvos.lazy_imports import lazy_attributes

from .guide_kind import GuideKind
from .prompts import Point, Prompts
from .rle import RLE
from .tracks import UNKNOWN_LABEL, FrameResult, Track, TrackedObject, VideoTracks

if TYPE_CHECKING:
    from .frame import Frame, FrameMeta

__all__ = [
    'RLE',
    'UNKNOWN_LABEL',
    'Frame',
    'FrameMeta',
    'FrameResult',
    'GuideKind',
    'Point',
    'Prompts',
    'Track',
    'TrackedObject',
    'VideoTracks',
]

__getattr__ = lazy_attributes(__name__, {'frame': ['Frame', 'FrameMeta']})
