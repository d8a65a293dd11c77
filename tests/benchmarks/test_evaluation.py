"""The evaluation benchmark runs and scores what it made; its times are no test."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmvos.benchmarks import evaluation


def test_all_parts_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation.measure_j_and_f(repeats=3)
    evaluation.measure_davis(tmp_path, sequences=1, processes=1, frames=4)
    evaluation.measure_youtube_vis(tmp_path, videos=2)
    shown = capsys.readouterr().out
    assert (
        'ms per object and frame' in shown
        and 'for 4 object-frames' in shown
        and '20 predictions' in shown
    )
