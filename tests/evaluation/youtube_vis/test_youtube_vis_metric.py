"""The metric in the registry, the results files, and what they refuse."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmvos.evaluation  # noqa: F401
from mmvos.evaluation import EvaluationInputError
from mmvos.evaluation.youtube_vis import (
    check_ground_truth,
    check_results,
    read_results,
    write_results,
)
from mmvos.registry import METRICS

RLE = {'size': [2, 2], 'counts': '04'}  # all four pixels
TRUTH = {
    'videos': [
        {'id': 3, 'height': 2, 'width': 2, 'length': 2},
        {'id': 8, 'height': 2, 'width': 2, 'length': 1},
    ],
    'categories': [{'id': 1, 'name': 'cat'}],
    'annotations': [
        {
            'id': 1,
            'video_id': 3,
            'category_id': 1,
            'iscrowd': 0,
            'segmentations': [RLE, None],
            'areas': [4, None],
        },
        {
            'id': 2,
            'video_id': 8,
            'category_id': 1,
            'iscrowd': 0,
            'segmentations': [RLE],
            'areas': [4],
        },
    ],
}


def sample(video: int, masks: list[Any], score: float = 0.5) -> dict[str, Any]:
    entry = {'video_id': video, 'category_id': 1, 'score': score, 'segmentations': masks}
    return {'video_id': video, 'length': len(masks), 'entries': [entry]}


@pytest.fixture
def ann_file(tmp_path: Path) -> str:
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(TRUTH))
    return str(path)


def test_metric_scores_videos_in_any_order(ann_file: str, tmp_path: Path) -> None:
    written = []
    for order in (1, -1):
        prefix = tmp_path / f'run{order}'
        metric = METRICS.build(
            {'type': 'mmvos.YouTubeVISMetric', 'ann_file': ann_file, 'outfile_prefix': str(prefix)}
        )
        samples = [sample(3, [RLE, None]), sample(8, [None])][::order]
        for one in samples:
            metric.process({}, [one])
        scores = metric.evaluate(2)
        assert scores['youtube_vis/AP50'] == pytest.approx(51 / 101)
        assert {name.split('/')[1] for name in scores} == {
            'AP',
            'AP50',
            'AP75',
            'APs',
            'APm',
            'APl',
            'AR1',
            'AR10',
            'AR100',
            'ARs',
            'ARm',
            'ARl',
        }
        written.append(
            (prefix.with_suffix('.json').read_bytes(), prefix.with_suffix('.zip').read_bytes())
        )
    assert written[0] == written[1]


def test_without_annotations_files_are_written_and_nothing_is_scored(tmp_path: Path) -> None:
    for data in (
        {**TRUTH, 'annotations': None},
        {key: TRUTH[key] for key in ('videos', 'categories')},
    ):
        path = tmp_path / 'truth.json'
        path.write_text(json.dumps(data))
        metric = METRICS.build(
            {
                'type': 'mmvos.YouTubeVISMetric',
                'ann_file': str(path),
                'outfile_prefix': str(tmp_path / 'out'),
            }
        )
        metric.process({}, [sample(3, [RLE, None])])
        assert metric.evaluate(1) == {}
        assert len(read_results(tmp_path / 'out.zip')) == 1
        with pytest.raises(EvaluationInputError, match='has no annotations'):
            check_ground_truth(data)


def test_files_hold_plain_numbers_and_survive_a_round_trip(tmp_path: Path) -> None:
    entry = {
        'video_id': np.int64(3),
        'category_id': np.int32(1),
        'score': np.float32(0.5),
        'segmentations': [{'size': np.array([2, 2]), 'counts': b'04'}, None],
    }
    json_path, zip_path = write_results([entry], tmp_path / 'deep' / 'a.b')
    assert (json_path.name, zip_path.name) == ('a.b.json', 'a.b.zip')
    assert json_path.read_text() == (
        '[{"video_id":3,"category_id":1,"score":0.5,'
        '"segmentations":[{"size":[2,2],"counts":"04"},null]}]'
    )
    assert zipfile.ZipFile(zip_path).namelist() == ['results.json']
    assert read_results(zip_path) == read_results(json_path) == sample(3, [RLE, None])['entries']
    with pytest.raises(ValueError, match='JSON'):
        write_results([{**entry, 'score': float('nan')}], tmp_path / 'nan')


def broken(**changes: Any) -> list[dict[str, Any]]:
    return [{**sample(3, [RLE, None])['entries'][0], **changes}]


@pytest.mark.parametrize(
    ('results', 'message'),
    [
        ({}, 'no list'),
        ([7], 'entry 0: "video_id" is missing'),
        (broken(video_id=4), 'entry 0 belongs to video 4, which the ground truth does not list'),
        (broken(category_id=9), r'entry 0 \(video 3\) has category 9'),
        (broken(score=float('nan')), r'entry 0 \(video 3\) has the score nan'),
        (broken(score=True), '"score" is True'),
        (broken(segmentations=[RLE] * 3), 'has 3 segmentations but video 3 has 2 frames'),
        (
            broken(segmentations=[{'size': [4, 1], 'counts': '04'}, None]),
            r'frame 0: the mask has size \[4, 1\]',
        ),
        (
            broken(segmentations=[None, {'size': [2, 2], 'counts': '05'}]),
            'frame 1: the mask does not cover the 2 x 2 pixels',
        ),
        (
            broken(segmentations=[None, {'size': [2, 2], 'counts': '03'}]),
            'frame 1: the mask does not cover',
        ),
        (
            broken(segmentations=[None, {'size': [2, 2], 'counts': '0T'}]),
            'frame 1: the mask ends in the middle',
        ),
        (
            broken(segmentations=[None, {'size': [2, 2], 'counts': '0 4'}]),
            'holds a character that is no run length',
        ),
        (broken(segmentations=[None, {'size': [2, 2], 'counts': '5O'}]), 'does not cover'),
        (broken(segmentations=[None, {'size': [2, 2], 'counts': ''}]), 'ends in the middle'),
        (broken(segmentations=['04', None]), 'neither a list of polygons nor run lengths'),
        (broken(segmentations=[[[0, 0, 1e12, 0, 1, 1]], None]), 'polygon'),
    ],
)
def test_defects_are_named_with_their_place(results: Any, message: str) -> None:
    truth = check_ground_truth(TRUTH)
    with pytest.raises(EvaluationInputError, match=message):
        check_results(results, truth, 'results.json')


def test_zip_without_results_json_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / 'r.zip', 'w') as archive:
        archive.writestr('folder/results.json', '[]')
    with pytest.raises(EvaluationInputError, match=r'no results\.json'):
        read_results(tmp_path / 'r.zip')
