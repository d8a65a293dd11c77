"""The loops on data sets that say which objects to follow: an oracle has J = F = 1, whenever
objects come, whatever their ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import colored_videos as tiny
import numpy as np
import pytest
from mmengine.runner import Runner

DAVIS = {'b': (6, {1: 0, 3: 0, 2: 2}), 'a': (4, {5: 0})}  # a gap in the ids; object 2 comes late
LATE = {'b': (7, {1: 0, 3: 2}), 'a': (5, {2: 1, 4: 1})}


def make_runner(
    folder: Path,
    dataset: dict[str, Any],
    evaluator: dict[str, Any] | None,
    benchmark: str | None = None,
    **model: Any,
) -> Runner:
    config = tiny.config(dataset, evaluator, **model)
    config.test_cfg.benchmark = benchmark
    config.work_dir = str(folder / 'run')
    config.experiment_name = folder.name
    runner = Runner.from_cfg(config)
    runner.call_hook('before_run')
    return runner


def validate(
    folder: Path, dataset: dict[str, Any], evaluator: dict[str, Any], **model: Any
) -> dict[str, float]:
    runner = make_runner(folder, dataset, evaluator, **model)
    runner.model.train()
    metrics = runner.build_val_loop(runner.cfg.val_cfg).run()
    assert not runner.model.training
    return metrics


@pytest.mark.parametrize('prompt', ['mask', 'box'])
def test_davis_with_an_oracle(tmp_path, prompt):
    root = str(tiny.write_videos(tmp_path, DAVIS, folder='480p'))
    found = validate(
        tmp_path,
        dict(data_root=root, prompt=prompt),
        dict(type='mmvos.DAVISMetric', ground_truth=root),
    )
    assert (found['davis/J_mean'], found['davis/F_mean']) == (1, 1)


def test_davis_2016_with_an_oracle(tmp_path):
    root = str(tiny.write_videos(tmp_path, {'a': (6, {1: 0})}, folder='480p'))
    metric = dict(type='mmvos.DAVISMetric', ground_truth=root, year=2016)
    assert (
        validate(tmp_path, dict(data_root=root, merge_objects=True), metric)['davis/J&F_mean'] == 1
    )


def test_a_copying_model_is_worse_and_a_box_is_worse_than_a_mask(tmp_path):
    root = str(tiny.write_videos(tmp_path, DAVIS, folder='480p'))
    metric = dict(type='mmvos.DAVISMetric', ground_truth=root)
    (tmp_path / 'm').mkdir()
    (tmp_path / 'n').mkdir()
    mask = validate(tmp_path / 'm', dict(data_root=root), metric, keep=True)['davis/J_mean']
    box = validate(tmp_path / 'n', dict(data_root=root, prompt='box'), metric, keep=True)[
        'davis/J_mean'
    ]
    assert 0.3 < mask < 0.9 and box != mask


@pytest.mark.parametrize('every', [1, 3])
@pytest.mark.parametrize(
    'model', [{}, tiny.SEGMENTER], ids=['oracle', 'segmenter with an oracle as tracker']
)
def test_youtube_vos_with_an_oracle(tmp_path, every, model):
    root = str(tiny.write_videos(tmp_path, LATE, every))
    found = validate(
        tmp_path,
        dict(data_root=root, layout='youtube-vos'),
        dict(type='mmvos.YouTubeVOSMetric', ground_truth=root),
        **model,
    )
    assert (found['youtube_vos/J_mean'], found['youtube_vos/F_mean']) == (1, 1)


def test_late_objects_are_not_followed_before_they_are_given(tmp_path):
    root = str(tiny.write_videos(tmp_path, LATE))
    seen: dict[str, list[np.ndarray]] = {}

    class Labels:
        def keep(self, video, results):
            seen[video.name] = [result.label_map() for result in results]

    dataset = dict(data_root=root, layout='youtube-vos')
    loop = make_runner(tmp_path, dataset, None, benchmark='youtube-vos').test_loop
    loop.store = Labels()
    assert loop.run() == {}
    assert list(seen) == ['a', 'b']
    for name, (length, first) in LATE.items():
        for index, labels in enumerate(seen[name]):
            np.testing.assert_array_equal(labels, tiny.label_map(index, first, length))


def test_the_evaluator_takes_label_maps_where_none_are_written(tmp_path):
    root = str(tiny.write_videos(tmp_path, DAVIS, folder='480p'))
    runner = make_runner(
        tmp_path, dict(data_root=root), dict(type='mmvos.DAVISMetric', ground_truth=root)
    )
    assert runner.build_test_loop(runner.cfg.test_cfg).run()['davis/J&F_mean'] == 1
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert (
        '10 frames in ' in log.read_text()
        and 's per frame' in log.read_text()
        and 'peak memory' in log.read_text()
    )
