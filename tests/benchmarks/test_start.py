"""The benchmark of the start runs to its end, and reads times of other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import run_mmvos

from mmvos.benchmarks import start


@pytest.mark.slow
def test_it_prints_a_row_for_each_system_and_engine(tmp_path: Path) -> None:
    words = ('--systems', 'siammask', '--engines', 'onnxruntime', '--threads', '1')
    done = run_mmvos(
        'benchmark', 'start', *words, '--rounds', '1', '--length', '2', folder=tmp_path
    )
    assert done.status == 0, done.output
    [row] = [line.split('|')[1:-1] for line in done.output.splitlines() if '| siammask |' in line]
    assert [cell.strip() for cell in row[1:3]] == ['onnxruntime', '1']
    first, first_cpu, imports, last, last_cpu = (float(cell) for cell in row[3:])
    assert 0 < first <= last and 0 < imports <= last_cpu and first_cpu <= last_cpu


def test_systems_without_graphs_are_computed_by_torch() -> None:
    rows = start._rows(['masktrack', 'parts'], ['onnxruntime'], [1, 2])
    found = [(row.system, row.engine, row.threads) for row in rows]
    expected = [('masktrack', 'onnxruntime', 1), ('masktrack', 'onnxruntime', 2)]
    assert found == [*expected, ('parts', 'torch', 1), ('parts', 'torch', 2)]


def test_times_of_a_process_are_its_own() -> None:
    ours = start._cpu_seconds(os.getpid())
    assert abs(ours - time.process_time()) < 0.1
    code = 'import time\nwhile time.process_time() < 0.3: pass'
    child = subprocess.Popen([sys.executable, '-c', code])
    while start._is_running(child.pid):
        time.sleep(0.01)
    # It has ended, and its times can still be read.
    assert 0.25 < start._cpu_seconds(child.pid) < 0.6
    assert child.wait() == 0


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    row = start.Row('siammask', 'onnxruntime', 1)
    with pytest.raises(subprocess.CalledProcessError):
        start.measure(row, tmp_path / 'nothing', tmp_path / 'out')
