"""Datasets, samplers and transforms. No models."""

from typing import TYPE_CHECKING

from mmvos.lazy_imports import lazy_attributes

if TYPE_CHECKING:
    from .image_clips import ImageClipDataset
    from .mask_clips import MaskClipDataset
    from .mask_pairs import MaskPairDataset
    from .mask_video import MaskVideoDataset, PromptedVideo
    from .pair_sources import ImagePairs, MaskFolderPairs, YouTubeVISPairs
    from .samplers import OrientationBatchSampler, SeededIndex, VideoSampler
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
        SimulateMotion,
        SimulatePairMotion,
        SurroundPair,
    )
    from .youtube_vis import Video, YouTubeVISDataset

__all__ = [
    'ColorClip',
    'ColorPair',
    'CropClip',
    'CropPair',
    'DeformGuides',
    'ImageClipDataset',
    'ImagePairs',
    'LoadFrame',
    'MaskClipDataset',
    'MaskFolderPairs',
    'MaskPairDataset',
    'MaskVideoDataset',
    'OrientationBatchSampler',
    'PackClip',
    'PackPair',
    'PasteObjects',
    'PromptedVideo',
    'SeededIndex',
    'SimulateClicks',
    'SimulateMotion',
    'SimulatePairMotion',
    'SurroundPair',
    'Video',
    'VideoSampler',
    'YouTubeVISDataset',
    'YouTubeVISPairs',
]

__getattr__ = lazy_attributes(
    __name__,
    {
        'mask_clips': ['MaskClipDataset'],
        'mask_pairs': ['MaskPairDataset'],
        'mask_video': ['MaskVideoDataset', 'PromptedVideo'],
        'pair_sources': ['MaskFolderPairs', 'ImagePairs', 'YouTubeVISPairs'],
        'samplers': ['OrientationBatchSampler', 'SeededIndex', 'VideoSampler'],
        'image_clips': ['ImageClipDataset'],
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
            'SimulateMotion',
            'SimulatePairMotion',
            'SurroundPair',
        ],
        'youtube_vis': ['Video', 'YouTubeVISDataset'],
    },
)
