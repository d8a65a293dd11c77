"""Datasets, samplers and transforms. No models."""
from .samplers import OrientationBatchSampler, SeededIndex, VideoSampler
from .transforms import LoadFrame
from .youtube_vis import Video, YouTubeVISDataset

__all__ = ['LoadFrame', 'OrientationBatchSampler', 'SeededIndex', 'Video', 'VideoSampler', 'YouTubeVISDataset']
