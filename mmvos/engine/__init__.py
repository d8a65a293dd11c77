"""Training and testing beside what mmengine has."""

from .checkpoint_hook import ResumableCheckpointHook
from .freeze_hook import FixedNormHook, FreezeHook, FreshOptimizerHook
from .hooks import IterationSeedHook, NonFiniteLossHook
from .online_fine_tuner import OnlineFineTuner
from .optim_wrapper import GuardedOptimWrapper
from .supervised_segmenter import SupervisedSegmenter
from .video_loop import VideoTestLoop, VideoValLoop

__all__ = [
    'FixedNormHook',
    'FreezeHook',
    'FreshOptimizerHook',
    'GuardedOptimWrapper',
    'IterationSeedHook',
    'NonFiniteLossHook',
    'OnlineFineTuner',
    'ResumableCheckpointHook',
    'SupervisedSegmenter',
    'VideoTestLoop',
    'VideoValLoop',
]
