"""Freed memory goes back to the system, and the log says how much is held."""

from __future__ import annotations

import platform
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.logging import MessageHub

from mmvos.engine.memory_hook import ReturnMemoryHook, resident_mib

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc returns memory')


def run_hook(hook: ReturnMemoryHook, iteration: int, hub: MessageHub) -> None:
    """Tell the hook that an iteration is over, the first one being 0."""
    hook.after_train_iter(SimpleNamespace(iter=iteration, message_hub=hub), iteration)


@needs_glibc
def test_freed_memory_below_a_block_that_stays_is_returned():
    hub = MessageHub.get_instance('test_memory_hook')
    hook = ReturnMemoryHook()
    blocks = [np.ones(12_000) for _ in range(2_500)]  # 96 KB each, 229 MiB in all
    last = blocks.pop()  # what is freed below it stays with the allocator
    full = resident_mib()
    blocks.clear()
    run_hook(hook, 18, hub)
    kept = resident_mib()
    run_hook(hook, 19, hub)
    assert last.sum() == 12_000
    assert kept > full - 60, 'the allocator has returned it by itself'
    assert resident_mib() < full - 150
    assert hub.get_scalar('train/resident_mib').current() == pytest.approx(kept, abs=5)
