"""A Ray cluster of two nodes, of which one is killed in the middle."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
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

    monkeypatch.setenv('RAY_ADDRESS', 'head:6379')
    monkeypatch.setattr(ray_cluster.ray, 'init', refuse)
    with pytest.raises(DataError, match=r'at head:6379 .* Ray: 2\.9\.0'):
        ray_cluster._connect()
