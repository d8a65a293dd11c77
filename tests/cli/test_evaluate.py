"""``mmvos evaluate``: the command's files and messages. What the numbers mean is tested in
tests/evaluation.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mmvos.cli.main import main
from mmvos.io.label_png import write_label_png
from mmvos.io.run_record import RunRecord, write_record

RLE = {'size': [2, 2], 'counts': '04'}


def evaluate(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    # a command replaces the words of the process
    monkeypatch.setattr(sys, 'argv', ['mmvos'])
    main(['evaluate', *map(str, arguments)])


def label_folder(root: Path, box: int) -> Path:
    (root / 'a').mkdir(parents=True)
    labels = np.zeros((20, 30), np.uint8)
    labels[:box, :10] = 1
    for frame in range(4):
        write_label_png(root / 'a' / f'{frame:05}.png', labels)
    return root


def test_davis_writes_a_table_json_and_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, results = label_folder(tmp_path / 'gt', 10), label_folder(tmp_path / 'r', 6)
    files = ['--out', tmp_path / 'deep' / 'o.json', '--csv', tmp_path / 'o.csv', '--processes', 1]
    evaluate(monkeypatch, 'davis', '--gt', truth, '--results', results, *files)
    table = json.loads((tmp_path / 'deep' / 'o.json').read_text())
    assert table['metrics']['J_mean'] == pytest.approx(0.6)
    assert {'J&F_mean', 'J_recall', 'J_decay', 'F_mean', 'F_recall', 'F_decay'} <= table[
        'metrics'
    ].keys()
    assert 'J_mean         0.6000' in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / 'o.csv').open()))
    assert [(row['sequence'], row['object'], float(row['J_mean'])) for row in rows] == [
        ('a', '1', pytest.approx(0.6))
    ]


def test_a_failure_leaves_no_numbers_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'o.json').write_text('{"metrics": {"J_mean": 1}}')
    with pytest.raises(SystemExit, match=r'evaluate: .* is no folder'):
        evaluate(
            monkeypatch,
            'davis',
            '--gt',
            tmp_path / 'no',
            '--results',
            tmp_path,
            '--out',
            tmp_path / 'o.json',
        )
    assert not (tmp_path / 'o.json').exists()


def test_youtube_vis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = {
        'videos': [{'id': i, 'height': 2, 'width': 2, 'length': 1} for i in (1, 2)],
        'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}],
        'annotations': [
            {'id': i, 'video_id': i, 'category_id': 1, 'segmentations': [RLE]} for i in (1, 2)
        ],
    }
    (tmp_path / 'gt.json').write_text(json.dumps(truth))
    (tmp_path / 'r.json').write_text(
        json.dumps([{'video_id': 1, 'category_id': 1, 'score': 0.5, 'segmentations': [RLE]}])
    )
    evaluate(
        monkeypatch,
        'youtube-vis',
        '--gt',
        tmp_path / 'gt.json',
        '--results',
        tmp_path / 'r.json',
        '--out',
        tmp_path / 'o.json',
        '--csv',
        tmp_path / 'o.csv',
    )
    table = json.loads((tmp_path / 'o.json').read_text())
    assert table['metrics']['AP'] == pytest.approx(51 / 101)
    assert table['per_class'] == [
        {'class': 'cat', 'AP': pytest.approx(51 / 101)},
        {'class': 'dog', 'AP': -1},
    ]
    shown = capsys.readouterr().out
    assert '1 of 2 annotated videos have no prediction, the first is video 2' in shown
    assert '1 classes have no object in the ground truth and do not count: dog.' in shown


def test_youtube_vos_and_vot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, results = (
        label_folder(tmp_path / 'gt' / 'Annotations', 10).parent,
        label_folder(tmp_path / 'r', 10),
    )
    evaluate(
        monkeypatch,
        'youtube-vos',
        '--gt',
        truth,
        '--results',
        results,
        '--out',
        tmp_path / 'o.json',
    )
    assert json.loads((tmp_path / 'o.json').read_text())['metrics']['J_mean'] == 1
    for path, text in (
        ('vot/s/groundtruth.txt', '5,5,9,9\n' * 8),
        ('v/baseline/s/s_001.txt', '1\n' + '5,5,9,9\n' * 7),
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    evaluate(
        monkeypatch,
        'vot',
        '--gt',
        tmp_path / 'vot',
        '--results',
        tmp_path / 'v',
        '--interval',
        2,
        6,
        '--toolkit-workspace',
        tmp_path / 'ws',
        '--tracker',
        'mine',
        '--out',
        tmp_path / 'o.json',
    )
    assert json.loads((tmp_path / 'o.json').read_text())['metrics']['EAO'] == 1
    assert (tmp_path / 'ws' / 'results' / 'mine' / 'baseline' / 's' / 's_001.txt').is_file()


def test_a_decay_of_minus_1_is_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is right in the first quarter, everything in the last."""
    results = label_folder(tmp_path / 'r', 10)
    truth = label_folder(tmp_path / 'gt', 10)
    whole = (truth / 'a/00000.png').read_bytes()
    for t in range(14):
        (truth / f'a/{t:05}.png').write_bytes(whole)
        write_label_png(results / f'a/{t:05}.png', np.zeros((20, 30), np.uint8))
        if t > 8:
            (results / f'a/{t:05}.png').write_bytes(whole)
    evaluate(monkeypatch, 'davis', '--gt', truth, '--results', results, '--processes', 1)
    printed = capsys.readouterr().out
    assert 'J_decay       -1.0000' in printed and 'undefined' not in printed


def test_results_of_a_run_that_was_stopped_are_not_scored(tmp_path, monkeypatch):
    """As a killed test leaves them: the record is there, and some files of an earlier run."""
    (tmp_path / 'r').mkdir()
    write_record(tmp_path / 'r.run.json', RunRecord('ab', False, {'weights': 'w.pth'}))
    with pytest.raises(SystemExit) as ended:
        evaluate(monkeypatch, 'davis', '--gt', tmp_path, '--results', tmp_path / 'r')
    sentence = str(ended.value)
    assert sentence.startswith('mmvos evaluate: ') and 'r is unfinished' in sentence
    assert 'w.pth' in sentence


def test_a_table_of_any_name_is_written_and_none_is_said(tmp_path):
    from mmvos.cli.evaluate import write_csv
    from mmvos.evaluation.report import Report
    from mmvos.io.errors import DataError

    rows = [{'sequence': 'a', 'IoU': 0.5}]
    write_csv(Report({'IoU': 0.5}, {'per_sequence': rows}), tmp_path / 'o.csv')
    assert list(csv.DictReader((tmp_path / 'o.csv').open())) == [{'sequence': 'a', 'IoU': '0.5'}]
    with pytest.raises(DataError, match=r'none\.csv'):
        write_csv(Report({'IoU': 0.5}), tmp_path / 'none.csv')
