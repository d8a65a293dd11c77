"""Training and testing beside what mmengine has."""
from .hooks import IterationSeedHook, NonFiniteLossHook
from .optim_wrapper import GuardedOptimWrapper
from .video_loop import VideoTestLoop, VideoValLoop

__all__ = ['GuardedOptimWrapper', 'IterationSeedHook', 'NonFiniteLossHook', 'VideoTestLoop', 'VideoValLoop']
