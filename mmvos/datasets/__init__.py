"""Datasets, samplers and transforms. No models."""

from typing import TYPE_CHECKING

from mmvos.lazy_imports import lazy_attributes

if TYPE_CHECKING:
    from .mask_clips import MaskClipDataset
    from .mask_pairs import MaskPairDataset
    from .mask_video import MaskVideoDataset, PromptedVideo
    from .pair_sources import FolderPairs, StillPairs, YouTubeVISPairs
    from .samplers import OrientationBatchSampler, SeededIndex, VideoSampler
    from .static_clips import StaticClipDataset
    from .transforms import (
        ColorClip,
        ColorPair,
        CropClip,
        CropPair,
        DeformGuides,
        LoadFrame,
        PackClip,
        PackPair,
        PasteObjects,
        SimulateClicks,
        WarpClip,
    )
    from .youtube_vis import Video, YouTubeVISDataset

__all__ = [
    'ColorClip',
    'ColorPair',
    'CropClip',
    'CropPair',
    'DeformGuides',
    'FolderPairs',
    'LoadFrame',
    'MaskClipDataset',
    'MaskPairDataset',
    'MaskVideoDataset',
    'OrientationBatchSampler',
    'PackClip',
    'PackPair',
    'PasteObjects',
    'PromptedVideo',
    'SeededIndex',
    'SimulateClicks',
    'StaticClipDataset',
    'StillPairs',
    'Video',
    'VideoSampler',
    'WarpClip',
    'YouTubeVISDataset',
    'YouTubeVISPairs',
]

__getattr__ = lazy_attributes(
    __name__,
    {
        'mask_clips': ['MaskClipDataset'],
        'mask_pairs': ['MaskPairDataset'],
        'mask_video': ['MaskVideoDataset', 'PromptedVideo'],
        'pair_sources': ['FolderPairs', 'StillPairs', 'YouTubeVISPairs'],
        'samplers': ['OrientationBatchSampler', 'SeededIndex', 'VideoSampler'],
        'static_clips': ['StaticClipDataset'],
        'transforms': [
            'ColorClip',
            'ColorPair',
            'CropClip',
            'CropPair',
            'DeformGuides',
            'LoadFrame',
            'PackClip',
            'PackPair',
            'PasteObjects',
            'SimulateClicks',
            'WarpClip',
        ],
        'youtube_vis': ['Video', 'YouTubeVISDataset'],
    },
)
