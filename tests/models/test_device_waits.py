"""A GPU never waits in vain: how often the host waits for the device in a frame and in a training
step, counted on a pretended device; and its results are those of the CPU.

What is counted, and where the waits are: ``python tests/count_waits.py OUT frames``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import ENVIRONMENT, TESTS

MAX_OF_A_FRAME = 3
# One training config of each kind, and the waits of its step. Two of them are the guard against
# gradients that are not finite and the norm for the log.
STEPS = {
    'masktrack/masktrack_r50s16_mixed.py': 5,
    'siammask/siammask-sharp_r50_mixed-longer.py': 3,
    'siammask/siammask-sharp_r18_fpn_sample.py': 4,
    'siammask/s2iammask_lite0_mixed.py': 5,
    # of these 9 of 10 are in mmdet's assigners and samplers
    'masktrack_rcnn/masktrack-rcnn_r18_fpn_sample.py': 215,
}


def counted(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the program that counts, in a process of its own."""
    out = folder / 'waits.json'
    subprocess.run(
        [sys.executable, TESTS / 'count_waits.py', out, *arguments],
        env={**os.environ, **ENVIRONMENT},
        check=True,
        capture_output=True,
    )
    return json.loads(out.read_text())


@pytest.fixture(scope='module')
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of each system what is counted in a frame."""
    return counted(tmp_path_factory.mktemp('frames'), 'frames')


@pytest.mark.slow
def test_a_frame_waits_three_times_at_most(frames: dict[str, Any]) -> None:
    waits = {name: sum(found['waits'].values()) for name, found in frames.items()}
    assert len(waits) > 20
    assert {name: count for name, count in waits.items() if count > MAX_OF_A_FRAME} == {}
    # the check sees: each result is read at least once
    assert min(waits.values()) >= 1


@pytest.mark.slow
def test_waits_do_not_depend_on_the_number_of_objects(frames: dict[str, Any]) -> None:
    systems = [name.removesuffix(', 1') for name in frames if name.endswith(', 1')]
    assert len(systems) == 10
    for name in systems:
        one = sum(frames[f'{name}, 1']['waits'].values())
        four = sum(frames[f'{name}, 4']['waits'].values())
        # less where there are no parts left to be followed
        assert four <= one, name


@pytest.mark.slow
def test_results_on_the_device_are_those_of_the_cpu(frames: dict[str, Any]) -> None:
    """Not of R-CNN, whose tiny random model has nearly equal scores; see
    ``test_detection_at_once``.
    """
    for name, found in frames.items():
        if name == 'R-CNN':
            continue
        assert found['missing'] == 0, name
        assert found['least_iou'] > 0.99, name
        assert found['score'] < 1e-5, name
        assert found['region'] < 0.01, name


@pytest.mark.slow
def test_a_training_step_waits_no_more_than_is_written_here(tmp_path: Path) -> None:
    found = counted(tmp_path, 'train', *STEPS)
    waits = {name: sum(places.values()) for name, places in found.items()}
    too_many = {name: count for name, count in waits.items() if count > STEPS[name]}
    assert too_many == {}
