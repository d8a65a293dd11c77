"""The benchmark of engines runs to its end, and says that the masks are the same."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from command import run_mmvos
from moving_squares import picture, red_mask

from mmvos.benchmarks import engines
from mmvos.structures import FrameResult, TrackedObject
from mmvos.structures.rle import encode


def rows_of(output: str) -> dict[str, list[str]]:
    """The cells of each row of the table by the first one."""
    rows = {}
    for line in output.splitlines():
        if line.startswith('| '):
            name, *cells = (cell.strip() for cell in line.strip('|').split('|'))
            rows[name] = cells
    return rows


@pytest.mark.slow
@pytest.mark.parametrize('system', ['masktrack', 'siammask'])
def test_it_prints_a_row_for_each_engine(tmp_path, system):
    pytest.importorskip('onnxruntime')
    words = (
        '--system',
        system,
        '--length',
        '3',
        '--objects',
        '2',
        '--pace',
        '4',
        '--still',
        '1',
        '--no-start',
    )
    done = run_mmvos('benchmark', 'engines', *words, folder=tmp_path)
    assert done.status == 0, done.output
    assert f'\n{system}, 3 frames' in done.output
    rows = rows_of(done.output)
    assert float(rows['torch float32'][2]) == 1
    assert float(rows['onnxruntime'][2]) > 0.999
    assert float(rows['torch float32'][4]) == 0 <= float(rows['onnxruntime'][4]) < 1e-3
    assert float(rows['onnxruntime'][0]) > 0 and float(rows['onnxruntime'][5]) > 0


@pytest.mark.slow
def test_frames_of_ones_own_begin_with_the_state_of_torch(tmp_path):
    """A folder of fewer frames than are asked for; states of torch become those of numpy."""
    pytest.importorskip('onnxruntime')
    for index in range(3):
        cv2.imwrite(str(tmp_path / f'{index}.png'), picture(index))
    (tmp_path / 'mask').mkdir()
    cv2.imwrite(str(tmp_path / 'mask/0.png'), red_mask().astype(np.uint8))
    words = ('--frames', tmp_path, '--mask', tmp_path / 'mask/0.png', '--length', '9', '--no-start')
    done = run_mmvos('benchmark', 'engines', *words, '--same-state', folder=tmp_path)
    assert done.status == 0, done.output
    assert '\nmasktrack, 3 frames of 160x120' in done.output
    rows = rows_of(done.output)
    assert float(rows['onnxruntime'][2]) > 0.999


@pytest.mark.parametrize(('has_same_state', 'begins'), [(False, [0, 10, 20]), (True, [0, 1, 2])])
def test_where_each_frame_begins(has_same_state, begins):
    """The first model counts by 1, the second one by 10."""
    seen = []

    def counting(step, told):
        def go_on(frame, state, prompts):
            told.append(state)
            mask = encode(np.ones((2, 2), bool))
            box = (0.0, 0.0, 2.0, 2.0)
            found = TrackedObject(1, 0, state / 100, box, mask)
            return state + step, FrameResult(frame, (2, 2), (found,))

        model = SimpleNamespace(init_state=lambda: 0, inference_step=go_on)
        return SimpleNamespace(model=model, prepare_frame=lambda picture, index: index)

    models = {'torch float32': counting(1, []), 'other': counting(10, seen)}
    frames = [np.zeros((2, 2, 3), np.uint8)] * 3
    labels = np.ones((2, 2), np.uint8)
    measured = engines._measure(models, frames, labels, 'cpu', has_same_state)
    assert seen == begins
    gaps = [abs(begin - index) / 100 for index, begin in enumerate(begins)]
    assert measured['other'].score_gaps == pytest.approx(gaps)
    assert measured['other'].overlaps == [1, 1, 1]
