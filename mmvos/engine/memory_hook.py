"""Memory of a training that does not grow.

Each step allocates tensors of other sizes: numbers of RoIs and of positive cells change, and so may
the images' sizes. What is freed stays with glibc's allocator, in gaps that the next step's tensors
do not fit, so that the process holds several times what it uses. Given back now and then, it stays
near what is used (docs/benchmarks.md has the measurement).
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvos.registry import HOOKS

INTERVAL = 20  # iterations from one time to the next; one takes some milliseconds
_MIB = 2**20


@HOOKS.register_module()
class ReturnMemoryHook(Hook):
    """Return freed memory to the system, and log how much the process holds.

    It does so on Linux with glibc; elsewhere nothing is done. The log has ``resident_mib``.
    """

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Do so when it is time."""
        if not self.every_n_train_iters(runner, INTERVAL):
            return
        held = resident_mib()
        if held is not None:
            # before it is returned: the most that there is
            runner.message_hub.update_scalar('train/resident_mib', held)
        return_memory()


def return_memory() -> None:
    """Return what is freed to the system, where the allocator can."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if os.name == 'posix' else None
    if trim is not None:
        trim(0)


def resident_mib() -> float | None:
    """Return how many MiB of memory this process holds; None where the system does not say."""
    try:
        with open('/proc/self/statm', encoding='ascii') as stream:
            pages = int(stream.read().split()[1])
    except OSError:
        return None
    return pages * os.sysconf('SC_PAGESIZE') / _MIB
