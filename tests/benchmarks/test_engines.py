"""The benchmark of engines runs to its end, and says that the masks are the same."""

from __future__ import annotations

import pytest
from command import run_mmvos


@pytest.mark.slow
@pytest.mark.parametrize('system', ['masktrack', 'siammask'])
def test_it_prints_a_row_for_each_engine(tmp_path, system):
    pytest.importorskip('onnxruntime')
    words = ('--system', system, '--length', '3', '--objects', '2', '--pace', '4', '--no-start')
    done = run_mmvos('benchmark', 'engines', *words, folder=tmp_path)
    assert done.status == 0, done.output
    assert f'\n{system}, 3 frames' in done.output
    rows = {line[:26].strip(): line[26:].split() for line in done.output.splitlines()}
    assert float(rows['torch float32'][2]) == 1
    assert float(rows['onnxruntime'][2]) > 0.999
    assert float(rows['onnxruntime'][0]) > 0
