"""A Ray cluster of two nodes, of which one is killed in the middle."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmvos.apis.batch.outcome import read_outcome
from mmvos.io.errors import DataError

from .small_batch import results, segment_here, start, write_batch

pytest.importorskip('onnxruntime')
ray = pytest.importorskip('ray', reason='Ray is not installed: pip install "mmvos[ray]"')

LENGTHS = (200, 180, 160, 140, 6)
STORE_BYTES = 80 << 20
SECONDS = 240
SHORT = '/tmp'
SOON = 15  # seconds


@pytest.fixture
def cluster(monkeypatch) -> Iterator[Any]:
    """Two nodes of one core each; the command's own process is a third process."""
    from ray.cluster_utils import Cluster

    # the paths of its sockets have at most 107 characters
    folder = tempfile.mkdtemp(prefix='r', dir=SHORT)
    monkeypatch.setenv('RAY_TMPDIR', folder)
    monkeypatch.setenv('RAY_USAGE_STATS_ENABLED', '0')
    # by default actors are so nice that a busy machine leaves them nothing
    monkeypatch.setenv('RAY_worker_niceness', '0')
    monkeypatch.setenv('RAY_worker_register_timeout_seconds', '120')
    node = {'num_cpus': 1, 'object_store_memory': STORE_BYTES, 'include_dashboard': False}
    made = Cluster(initialize_head=True, head_node_args=node)
    try:
        yield made
    finally:
        made.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_a_node_is_killed_and_all_videos_are_finished(tmp_path: Path, cluster: Any):
    words = write_batch(tmp_path, LENGTHS)
    second = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    cluster.wait_for_nodes()
    assert segment_here(words, tmp_path / 'alone') is None

    out = tmp_path / 'out'
    run = start([*words, '--launcher', 'ray'], out, {'RAY_ADDRESS': cluster.address})
    try:
        # 1. Each node works on a video.
        end = time.monotonic() + SECONDS
        while len(begun(out)) < 2:
            assert run.poll() is None and time.monotonic() < end, run.communicate()[0]
            time.sleep(0.02)
        # 2. One of them is killed; nobody is told.
        working = begun(out)
        cluster.remove_node(second, allow_graceful=False)
        assert len(working) == 2
        said, _ = run.communicate(timeout=SECONDS)
    finally:
        run.kill()
    assert run.returncode == 0, said
    # 3. The other one went on with its video, and finished all.
    lost = re.findall(r'^(\w+): its actor died', said, re.MULTILINE)
    assert len(lost) == 1 and lost[0] in working
    assert results(out) == results(tmp_path / 'alone')
    assert all(f'v{number}: {length} frames' in said for number, length in enumerate(LENGTHS))


def begun(out: Path) -> list[str]:
    """Names of the videos that somebody works on, and has results of."""
    names = []
    for folder in out.glob('v*'):
        found = read_outcome(folder)
        is_going = found is not None and not found.is_over
        journal = folder / 'unfinished' / 'results.jsonl'
        if is_going and journal.is_file() and journal.stat().st_size:
            names.append(folder.name)
    return names


@pytest.mark.slow
def test_a_cluster_that_is_too_small_says_so(tmp_path: Path, cluster: Any):
    words = write_batch(tmp_path, (2,))
    words[words.index('--threads') + 1] = '7'
    environment = {'RAY_ADDRESS': cluster.address}
    run = start([*words, '--launcher', 'ray'], tmp_path / 'out', environment)
    said, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 1
    assert said.splitlines()[-1].startswith('mmvos segment: ') and '1 CPUs' in said
    assert os.listdir(tmp_path / 'out') == ['batch.json']


def test_a_cluster_of_another_version_is_named_in_a_sentence(monkeypatch):
    from mmvos.apis.batch import ray_cluster

    def refuse(**options: Any) -> None:
        raise RuntimeError('Version mismatch: The cluster was started with:\n    Ray: 2.9.0')

    with socket.create_server(('127.0.0.1', 0)) as server:
        place = f'127.0.0.1:{server.getsockname()[1]}'
        monkeypatch.setenv('RAY_ADDRESS', place)
        monkeypatch.setattr(ray_cluster.ray, 'init', refuse)
        with pytest.raises(DataError, match=rf'at {place} .* Ray: 2\.9\.0'):
            ray_cluster._connect()


@pytest.mark.parametrize(
    'place', ['127.0.0.1:{}', 'ray://127.0.0.1:{}', 'host.invalid:{}', '::1:{}']
)
def test_a_cluster_that_is_not_there_is_named_in_a_sentence(monkeypatch, place):
    from mmvos.apis.batch import ray_cluster

    def hang(**options: Any) -> None:
        raise AssertionError('Ray would try it for minutes')

    with socket.create_server(('127.0.0.1', 0)) as server:
        address = place.format(server.getsockname()[1])
    monkeypatch.setenv('RAY_ADDRESS', address)
    monkeypatch.setattr(ray_cluster.ray, 'init', hang)
    monkeypatch.setattr(ray_cluster, '_REACH_SECONDS', 1.5)
    began = time.monotonic()
    with pytest.raises(DataError, match=re.escape(f'at {address} cannot be used: nobody answers')):
        ray_cluster._connect()
    assert time.monotonic() - began < SOON


def test_a_cluster_that_is_just_starting_is_waited_for(monkeypatch):
    from mmvos.apis.batch import ray_cluster

    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    made = []
    starting = threading.Timer(0.5, lambda: made.append(socket.create_server(('127.0.0.1', port))))
    monkeypatch.setattr(ray_cluster, '_PAUSE', 0.1)
    starting.start()
    try:
        ray_cluster._reach(f'127.0.0.1:{port}')
    finally:
        starting.join()
        made[0].close()
