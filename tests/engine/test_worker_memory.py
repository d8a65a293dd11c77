"""Workers where shared memory is small: the run says so and goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from mmengine.config import Config
from torch.multiprocessing.reductions import init_reductions
from torch.utils.data import DataLoader

from mmvos.engine import worker_memory
from mmvos.engine.worker_memory import fit_workers, send_by_value

State = namedtuple('State', 'f_bavail f_frsize')


def config(workers=1, batch=1):
    loader = dict(num_workers=workers, batch_size=batch, persistent_workers=workers > 0)
    return Config(dict(test_dataloader=loader, val_dataloader=None))


@pytest.fixture
def free(monkeypatch):
    """Sets the shared memory that seems to be free, in KiB."""

    def set_free(kib):
        monkeypatch.setattr(os, 'statvfs', lambda path: State(kib // 4, 4096))

    yield set_free
    init_reductions()


@pytest.mark.parametrize('kib, workers', [(4 * 2**20, 4), (64 * 2**10, 1), (64, 0)])
def test_enough_memory_or_no_worker_changes_nothing(free, kib, workers):
    free(kib)
    given = config(workers)
    assert fit_workers(given) is None
    assert given.test_dataloader.num_workers == workers


def test_the_default_of_containers_sends_through_pipes(free):
    free(60 * 2**10)
    given = config(2)
    assert 'pipes' in fit_workers(given) and given.test_dataloader.num_workers == 2


def test_a_tiny_memory_takes_no_workers(free):
    free(64)
    given = config(2)
    assert 'without workers' in fit_workers(given)
    assert given.test_dataloader.num_workers == 0
    assert given.test_dataloader.persistent_workers is False


def test_a_system_without_shared_memory_is_left_alone(monkeypatch):
    monkeypatch.setattr(worker_memory, '_SHARED', '/nowhere/shm')
    assert fit_workers(config(2)) is None


VALUES = [
    torch.arange(6).reshape(2, 3).t(),
    torch.tensor(1.5),
    torch.zeros(0, 4),
    torch.tensor([True, False]),
    torch.ones(2, dtype=torch.bfloat16),
]


def test_tensors_through_pipes_are_the_same():
    try:
        send_by_value()
        loader = DataLoader(VALUES, batch_size=None, num_workers=1)
        found = list(loader)
    finally:
        init_reductions()
    for value, given in zip(found, VALUES, strict=True):
        assert value.dtype == given.dtype and value.shape == given.shape
        assert torch.equal(value, given) and not value.is_shared()


LOAD = """
import sys, torch
from torch.utils.data import DataLoader
from mmvos.engine.worker_memory import fit_workers
config = dict(test_dataloader=dict(num_workers=1, batch_size=1))
print(fit_workers(config))
data = [torch.full((3, 400, 400), float(i)) for i in range(6)]
loader = DataLoader(data, batch_size=None, num_workers=config['test_dataloader']['num_workers'])
print([value.mean().item() for value in loader])
"""


@pytest.mark.slow
@pytest.mark.parametrize('size, word', [('64k', 'without workers'), ('1m', 'pipes')])
def test_with_a_small_memory_of_the_system(tmp_path, size, word):
    """In a mount namespace of its own; torch alone waits for ever here."""
    script = f'mount -t tmpfs -o size={size} none /dev/shm && exec "$@"'
    if shutil.which('unshare') is None:
        pytest.skip('there is no unshare')
    trial = subprocess.run(['unshare', '-m', 'sh', '-c', script, 'sh', 'true'], capture_output=True)
    if trial.returncode:
        pytest.skip('a mount namespace is not allowed here')
    command = ['unshare', '-m', 'sh', '-c', script, 'sh', sys.executable, '-c', LOAD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said, values = done.stdout.strip().splitlines()
    assert word in said and values == '[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]', done.stderr
