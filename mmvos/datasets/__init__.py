"""Datasets, samplers and transforms. No models."""
from .mask_clips import MaskClipDataset
from .mask_video import MaskVideoDataset, PromptedVideo
from .samplers import OrientationBatchSampler, SeededIndex, VideoSampler
from .static_clips import StaticClipDataset
from .transforms import ColorClip, CropClip, DeformGuides, LoadFrame, PackClip, WarpClip
from .youtube_vis import Video, YouTubeVISDataset

__all__ = ['ColorClip', 'CropClip', 'DeformGuides', 'LoadFrame', 'MaskClipDataset', 'MaskVideoDataset', 'OrientationBatchSampler',
           'PackClip', 'PromptedVideo', 'SeededIndex', 'StaticClipDataset', 'Video', 'VideoSampler', 'WarpClip',
           'YouTubeVISDataset']
