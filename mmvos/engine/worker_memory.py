"""Data loaders where shared memory is small, as in containers.

The workers of a data loader hand over their tensors in shared memory (``/dev/shm``). Where it is
full they wait for ever or are killed by the system, without a word. So it is looked at before the
start: where it may not be enough, tensors go through the pipes between the processes instead (one
copy more), and where not even the locks of a worker fit, the main process loads by itself.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch import Tensor

_SHARED = '/dev/shm'
_MIB = 2**20
_SAMPLE = 32 * _MIB  # bytes of a large sample: two frames of 1333 x 800 pixels in float32
_PREFETCH = 2  # batches that each worker makes ahead, where the config does not say it
_LOCKS_OF_A_WORKER = 12  # queues and events
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def fit_workers(config: Any) -> str | None:
    """Change how workers hand over their data where shared memory may be too small.

    Args:
        config: of the run; ``num_workers`` of its loaders become 0 where no worker can start.

    Returns:
        What was changed, in a sentence; None where nothing was.
    """
    loaders = [config[name] for name in _LOADERS if config.get(name)]
    needed = max((_bytes_under_way(loader) for loader in loaders), default=0)
    free = _free_shared_memory()
    if free is None or needed == 0 or free >= needed:
        return None
    found = f'{_SHARED} has {free / _MIB:.1f} MiB free, and the workers may need {needed // _MIB}'
    remedy = 'a larger one (docker run --shm-size=2g) is faster'
    # Without shared memory tensors can go through pipes, if at least locks fit.
    workers = max(loader.get('num_workers', 0) for loader in loaders)
    if free >= 4 * os.sysconf('SC_PAGE_SIZE') * workers * _LOCKS_OF_A_WORKER and _can_lock():
        send_by_value()
        return f'{found}: tensors go through pipes instead; {remedy}'

    # Else this process loads everything itself.
    for loader in loaders:
        loader['num_workers'] = 0
        loader['persistent_workers'] = False
        loader.pop('prefetch_factor', None)
    return f'{found}: the data is loaded without workers; {remedy}'


def _bytes_under_way(loader: Mapping[str, Any]) -> int:
    """What the workers of a loader hold at most, by a generous guess."""
    batches = loader.get('num_workers', 0) * (loader.get('prefetch_factor') or _PREFETCH)
    return int(batches * (loader.get('batch_size') or 1) * _SAMPLE)


def _free_shared_memory() -> int | None:
    """Bytes that are free; None where the system has no such place."""
    try:
        state = os.statvfs(_SHARED)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize


def _can_lock() -> bool:
    """Whether the locks of a worker can be made, for a trial."""
    try:
        locks = [multiprocessing.Lock() for _ in range(_LOCKS_OF_A_WORKER)]
    except OSError:
        return False
    return bool(locks)


def send_by_value() -> None:
    """Let processes hand over tensors through their pipes, not in shared memory."""
    ForkingPickler.register(Tensor, _reduce)


def _reduce(tensor: Tensor) -> Any:
    """How a tensor of a worker is taken apart: its bytes, type and shape."""
    content = tensor.detach().contiguous()

    # numpy does not know all types of torch
    array = content.flatten().view(torch.uint8).numpy()
    return _rebuild, (array, tensor.dtype, tuple(tensor.shape))


def _rebuild(array: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(array).view(dtype).reshape(shape)
