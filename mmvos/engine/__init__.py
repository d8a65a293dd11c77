"""Training and testing beside what mmengine has."""

from mmvos.deprecation import accept_old_names, register_old_name
from mmvos.registry import HOOKS, OPTIM_WRAPPERS, TASK_UTILS

from .checkpoint_hook import ResumableCheckpointHook
from .freeze_hook import FreezeBatchNormHook, FreezeHook, ResetOptimizerStateHook
from .hooks import IterationSeedHook, NonFiniteLossHook
from .memory_hook import ReturnMemoryHook
from .online_fine_tuner import OnlineFineTuner
from .optim_wrapper import SafeOptimWrapper
from .video_loop import VideoTestLoop, VideoValLoop
from .vot_tracker_adapter import VOTTrackerAdapter

__all__ = [
    'FreezeBatchNormHook',
    'FreezeHook',
    'IterationSeedHook',
    'NonFiniteLossHook',
    'OnlineFineTuner',
    'ResetOptimizerStateHook',
    'ResumableCheckpointHook',
    'ReturnMemoryHook',
    'SafeOptimWrapper',
    'VOTTrackerAdapter',
    'VideoTestLoop',
    'VideoValLoop',
]

register_old_name(HOOKS, 'FixedNormHook', FreezeBatchNormHook)
register_old_name(HOOKS, 'FreshOptimizerHook', ResetOptimizerStateHook)
register_old_name(OPTIM_WRAPPERS, 'GuardedOptimWrapper', SafeOptimWrapper)
register_old_name(TASK_UTILS, 'SupervisedSegmenter', VOTTrackerAdapter)

__getattr__ = accept_old_names(
    __name__,
    {
        'FixedNormHook': 'FreezeBatchNormHook',
        'FreshOptimizerHook': 'ResetOptimizerStateHook',
        'GuardedOptimWrapper': 'SafeOptimWrapper',
        'SupervisedSegmenter': 'VOTTrackerAdapter',
    },
)
