"""What flows between the rooms: frames, prompts, results. torch and numpy only."""

from .frame import Frame, FrameMeta
from .prompts import Prompts
from .rle import RLE
from .tracks import UNKNOWN_LABEL, FrameResult, Track, TrackedObject, VideoTracks

__all__ = [
    'RLE',
    'UNKNOWN_LABEL',
    'Frame',
    'FrameMeta',
    'FrameResult',
    'Prompts',
    'Track',
    'TrackedObject',
    'VideoTracks',
]
