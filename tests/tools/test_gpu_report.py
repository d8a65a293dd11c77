"""The report of a lent GPU keeps to its time, and goes on where a step fails. What stands in for
Python here only writes down what it is asked.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from command import ROOT

STAND_IN = """#!/bin/bash
echo "$*" >> "$ASKED"
case "$*" in *"-m pytest"*) exit 1 ;; *mmcv.ops*) exit 1 ;; *capability*) echo 9.0 ;; esac
"""


def run_report(folder: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the report in a folder; returns it and what Python was asked."""
    python = folder / 'python'
    python.write_text(STAND_IN)
    python.chmod(0o755)
    asked = folder / 'asked'
    asked.touch()
    done = subprocess.run(
        ['bash', ROOT / 'tools/gpu_report.sh', folder / 'out'],
        env={**os.environ, 'PYTHON': str(python), 'ASKED': str(asked), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done, asked.read_text()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with a wheel and the source of mmcv."""
    folder = tmp_path / 'wheels'
    folder.mkdir()
    for name in ('yapf-1.0-py3-none-any.whl', 'onedl_mmcv-2.3.6.tar.gz'):
        (folder / name).touch()
    return folder


def test_what_does_not_begin_in_time_is_left_out(tmp_path: Path) -> None:
    done, asked = run_report(tmp_path, BUDGET='10')
    assert done.returncode == 0, done.stdout
    assert 'left out' in done.stdout and 'gpu_tests' in done.stdout
    assert 'pytest' not in asked
    assert 'left out' in (tmp_path / 'out/report.txt').read_text()


def test_a_step_that_fails_is_told_and_the_others_go_on(tmp_path: Path, wheels: Path) -> None:
    done, asked = run_report(tmp_path, BUDGET='600', WHEELS=str(wheels))
    assert done.returncode == 1
    assert 'failed: gpu_tests' in done.stdout
    for name in ('vos', 'tracking', 'vis'):
        assert f'-m mmvos benchmark {name}' in asked
    assert '--no-index' in asked and 'onedl_mmcv-2.3.6.tar.gz' in asked
    # of three trainings the first
    assert asked.count('-m mmvos train') == 1
