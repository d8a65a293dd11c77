"""Benchmarks are objects: what the loops and commands ask them, and a new one of a few lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmvos.cli import evaluate
from mmvos.evaluation.benchmark import Option
from mmvos.evaluation.benchmarks import BENCHMARKS, benchmark_of_metric, choose_benchmark
from mmvos.evaluation.label_map_benchmark import LabelMapBenchmark
from mmvos.evaluation.report import Report
from mmvos.io.errors import DataError
from mmvos.io.label_png import read_label_png, write_label_png
from mmvos.registry import METRICS


class CountObjects(LabelMapBenchmark):
    """Scores the share of videos whose first result has as many objects as the ground truth."""

    name = 'count'
    metric = 'CountMetric'
    measures = 'number of objects'
    ground_truth = 'folder with one folder of label PNGs per video'
    options = (Option('--frame', 'name of the frame', '00000'),)

    def score(
        self, ground_truth: Path, results: Path, options: Mapping[str, Any], processes: int
    ) -> Report:
        rows = []
        for folder in sorted(ground_truth.iterdir()):
            name = f'{folder.name}/{options["frame"]}.png'
            counts = [read_label_png(root / name).max() for root in (ground_truth, results)]
            rows.append({'sequence': folder.name, 'right': int(counts[0] == counts[1])})
        return Report(
            {'right': sum(row['right'] for row in rows) / len(rows)}, {'per_object': rows}
        )


def test_a_new_benchmark_is_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(BENCHMARKS, 'count', CountObjects())
    for root, objects in (('gt', (1, 2)), ('r', (1, 1))):
        for video, number in zip('ab', objects, strict=True):
            write_label_png(
                tmp_path / root / video / '00005.png', np.full((4, 6), number, np.uint8)
            )
    words = ['count', '--gt', str(tmp_path / 'gt'), '--results', str(tmp_path / 'r')]
    evaluate.main([*words, '--frame', '00005', '--csv', str(tmp_path / 'o.csv')])
    assert capsys.readouterr().out == 'right     0.5000\n'
    assert (tmp_path / 'o.csv').read_text().split() == ['sequence,right', 'a,1', 'b,0']


def test_the_help_names_the_protocols_and_what_they_measure(capsys):
    with pytest.raises(SystemExit) as ended:
        evaluate.main(['--help'])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for benchmark in BENCHMARKS.values():
        assert benchmark.name in shown and benchmark.measures in shown


@pytest.mark.parametrize('name', ['youtube-vis', 'davis', 'youtube-vos', 'vot'])
def test_a_metric_belongs_to_its_benchmark(name):
    benchmark = BENCHMARKS[name]
    metric = METRICS.get(f'mmvos.{benchmark.metric}')
    own = type('MyMetric', (metric,), {})
    assert benchmark_of_metric(metric) is benchmark_of_metric(own) is benchmark
    assert choose_benchmark(None, [object(), object.__new__(own)]) is benchmark
    assert choose_benchmark('vot', [object.__new__(own)]).name == 'vot'


def test_a_metric_of_no_benchmark_is_refused():
    assert benchmark_of_metric(dict) is None
    with pytest.raises(DataError, match='no metric of a benchmark'):
        choose_benchmark(None, [{}])


def test_options_come_from_a_config_or_are_the_defaults():
    config = {'type': 'mmvos.DAVISMetric', 'ground_truth': 'data', 'year': 2016}
    assert BENCHMARKS['davis'].option_values(config) == {
        'year': 2016,
        'task': 'semi-supervised',
        'split': 'val',
        'resolution': '480p',
        'official': False,
    }


def test_options_that_belong_together(capsys):
    words = ['vot', '--gt', 'g', '--results', 'r', '--tracker', 'mine']
    with pytest.raises(SystemExit) as ended:
        evaluate.main(words)
    assert ended.value.code == 2
    assert '--toolkit-workspace and --tracker' in capsys.readouterr().err


@pytest.mark.parametrize(
    'module', ['mmvos.evaluation.davis', 'mmvos.cli.evaluate', 'mmvos.cli.test']
)
def test_a_help_waits_for_no_library(module):
    code = f'import {module}, sys; print(sorted({{"torch", "mmdet", "numpy"}} & set(sys.modules)))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == '[]\n'


def test_scoring_waits_for_no_torch():
    modules = ', '.join(
        f'mmvos.evaluation.{name}.evaluate'
        for name in ('davis', 'youtube_vos', 'youtube_vis', 'vot')
    )
    code = f'import {modules}, sys; print("torch" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == 'False\n'


def test_vot_results_of_a_sequence_whose_name_holds_brackets(tmp_path):
    for path, text in (
        ('gt/car[1]/groundtruth.txt', '5,5,9,9\n' * 12),
        ('r/baseline/car[1]/car[1]_001.txt', '1\n' + '5,5,9,9\n' * 11),
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    benchmark = BENCHMARKS['vot']
    options = benchmark.option_values({'interval': [2, 6]})
    report = benchmark.score(tmp_path / 'gt', tmp_path / 'r', options, 1)
    assert report.metrics['EAO'] == report.metrics['accuracy'] == 1


def test_a_metric_of_a_benchmark_of_its_own_is_not_its_bases(monkeypatch):
    from mmvos.evaluation import benchmarks
    from mmvos.evaluation.davis.benchmark import DAVIS
    from mmvos.evaluation.davis.metric import DAVISMetric

    class OwnMetric(DAVISMetric):
        pass

    class Own(DAVIS):
        name = 'own'
        metric = 'OwnMetric'

    assert benchmarks.benchmark_of_metric(OwnMetric).name == 'davis'
    monkeypatch.setitem(benchmarks.BENCHMARKS, 'own', Own())
    assert benchmarks.benchmark_of_metric(OwnMetric).name == 'own'
    assert benchmarks.benchmark_of_metric(DAVISMetric).name == 'davis'
