"""Datasets, samplers and transforms. No models."""
from .mask_video import MaskVideoDataset, PromptedVideo
from .samplers import OrientationBatchSampler, SeededIndex, VideoSampler
from .transforms import LoadFrame
from .youtube_vis import Video, YouTubeVISDataset

__all__ = ['LoadFrame', 'MaskVideoDataset', 'OrientationBatchSampler', 'PromptedVideo', 'SeededIndex', 'Video', 'VideoSampler',
           'YouTubeVISDataset']
