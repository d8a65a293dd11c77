"""YouTube-VOS, local protocol: late objects, seen and unseen classes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from label_folders import labels, write

from mmvos.evaluation import EvaluationInputError, evaluate_youtube_vos
from mmvos.registry import METRICS

EARLY, BOTH = labels(o1=(5, 5, 20, 20)), labels(o1=(5, 5, 20, 20), o4=(10, 40, 10, 20))
HALF_1, HALF_4 = (
    labels(o1=(5, 5, 20, 10), o4=(10, 40, 10, 20)),
    labels(o1=(5, 5, 20, 20), o4=(10, 40, 10, 10)),
)
TRUTH = [EARLY, EARLY, BOTH, BOTH]  # object 4 is given in frame 2 and scored in frame 3


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    write(tmp_path / 'gt' / 'Annotations', {'v': TRUTH})
    meta = {'videos': {'v': {'objects': {'1': {'category': 'cat'}, '4': {'category': 'owl'}}}}}
    (tmp_path / 'gt' / 'meta.json').write_text(json.dumps(meta))
    (tmp_path / 'seen.txt').write_text('cat\ndog\n')
    return tmp_path / 'gt'


def test_an_object_is_scored_after_its_first_frame_and_in_the_last(
    truth: Path, tmp_path: Path
) -> None:
    results = write(tmp_path / 'r', {'v': [HALF_1, EARLY, HALF_4, HALF_1]})
    report = evaluate_youtube_vos(truth, results)
    rows = {row['object']: row for row in report.tables['per_object']}
    assert (rows[1]['frames'], rows[4]['frames']) == (3, 1)
    assert rows[1]['J_mean'] == pytest.approx((1 + 1 + 0.5) / 3)
    assert rows[4]['J_mean'] == 1
    assert 'local protocol' in report.notes[0]
    (results / 'v' / '00000.png').unlink()  # the given frame need not be there
    assert evaluate_youtube_vos(truth, results) == report


def test_g_is_the_mean_of_four(truth: Path, tmp_path: Path) -> None:
    results = write(tmp_path / 'r', {'v': [EARLY, EARLY, BOTH, HALF_1]})
    found = evaluate_youtube_vos(truth, results, tmp_path / 'seen.txt').metrics
    assert found['J_seen'] == pytest.approx(2.5 / 3)
    assert (found['J_unseen'], found['F_unseen']) == (1, 1)
    assert found['G'] == pytest.approx(
        (found['J_seen'] + found['J_unseen'] + found['F_seen'] + found['F_unseen']) / 4
    )
    metric = METRICS.build(
        {
            'type': 'mmvos.YouTubeVOSMetric',
            'ground_truth': str(truth),
            'seen': str(tmp_path / 'seen.txt'),
        }
    )
    frames = [f'{i:05}' for i in range(4)]
    metric.process(
        {}, [{'sequence': 'v', 'frames': frames, 'labels': np.stack([EARLY, EARLY, BOTH, HALF_1])}]
    )
    assert metric.evaluate(1) == {f'youtube_vos/{name}': value for name, value in found.items()}


def test_the_training_meta_names_the_seen_classes(truth: Path, tmp_path: Path) -> None:
    results = write(tmp_path / 'r', {'v': TRUTH})
    report = evaluate_youtube_vos(truth, results, truth / 'meta.json')
    assert 'G' not in report.metrics and report.metrics['J_seen'] == 1
    assert any('G is not defined' in note for note in report.notes)


def test_processes_change_nothing(tmp_path: Path) -> None:
    truth = write(tmp_path / 'gt', {'v': TRUTH, 'w': TRUTH})
    results = write(
        tmp_path / 'r', {'v': [EARLY, EARLY, BOTH, HALF_1], 'w': [EARLY, EARLY, BOTH, HALF_4]}
    )
    assert evaluate_youtube_vos(truth, results, processes=2) == evaluate_youtube_vos(truth, results)


def test_defects_are_named_with_their_place(truth: Path, tmp_path: Path) -> None:
    results = write(tmp_path / 'r', {'v': TRUTH})
    write(results, {'v': [EARLY, labels(o9=(0, 0, 5, 5))]})
    with pytest.raises(EvaluationInputError, match=r'00001\.png has the id 9, .* \(it has 1, 4\)'):
        evaluate_youtube_vos(truth, results)
    (results / 'v' / '00001.png').unlink()
    with pytest.raises(EvaluationInputError, match=r'00001\.png is missing'):
        evaluate_youtube_vos(truth, results)
    (truth / 'meta.json').write_text('{"videos": {"v": {"objects": {"1": {"category": "cat"}}}}}')
    with pytest.raises(EvaluationInputError, match='no class for object 4'):
        evaluate_youtube_vos(truth, write(tmp_path / 'r', {'v': TRUTH}), tmp_path / 'seen.txt')
