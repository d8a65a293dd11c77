"""The loops over videos, on a data set of three small videos."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from mmengine.runner import Runner
from tiny_videos import tiny_training, write_tiny_videos

from mmvos.io.errors import DataError
from mmvos.structures import FrameResult


@pytest.fixture(scope='module')
def annotations(tmp_path_factory) -> Path:
    return write_tiny_videos(tmp_path_factory.mktemp('videos'))


class Store:
    """Takes the results of finished videos, and notes the order."""

    def __init__(self) -> None:
        self.frames: dict[int, list[int]] = {}

    def keep(self, video: Any, results: Iterable[FrameResult]) -> None:
        self.frames[video.id] = [result.frame_index for result in results]


def make_runner(
    annotations: Path, folder: Path, benchmark: str | None = None, **overrides: Any
) -> Runner:
    config = tiny_training(annotations, **overrides)
    config.work_dir = str(folder)
    config.default_hooks.checkpoint = None
    if benchmark is not None:
        config.test_evaluator = []
        config.test_cfg.benchmark = benchmark
    runner = Runner.from_cfg(config)
    runner.call_hook('before_run')  # as Runner.test does; the logger opens its files
    return runner


def watch_steps(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Frame index and number of known objects of every step."""
    seen: list[tuple[int, int]] = []
    step = model.step

    def watched(frame: Any, state: Any, prompts: Any = None) -> tuple[Any, FrameResult]:
        seen.append((frame.meta.index, len(state.labels)))
        assert frame.meta.original_shape == (48, 64) and tuple(frame.image.shape) == (1, 3, 64, 64)
        return step(frame, state, prompts)

    monkeypatch.setattr(model, 'step', watched)
    return seen


def test_testing_goes_through_every_frame_of_every_video_in_order(
    annotations, tmp_path, monkeypatch
):
    out = str(tmp_path / 'results')
    runner = make_runner(annotations, tmp_path, test_evaluator__outfile_prefix=out)
    loop = runner.build_test_loop(runner.cfg.test_cfg)
    seen = watch_steps(runner.model, monkeypatch)
    metrics = loop.run()
    assert [index for index, _ in seen] == [0, 1, 2, 0, 0, 1]
    # a memory for each video
    assert [known == 0 for index, known in seen] == [index == 0 for index, _ in seen]
    assert not runner.model.training
    assert set(metrics) >= {'youtube_vis/AP', 'youtube_vis/AR100'}

    entries = json.loads(Path(out + '.json').read_text())
    lengths = {1: 3, 2: 1, 3: 2}
    videos = [entry['video_id'] for entry in entries]
    assert videos == sorted(videos) and set(videos) <= set(lengths)
    assert entries and all(
        len(entry['segmentations']) == lengths[entry['video_id']] for entry in entries
    )
    assert {entry['category_id'] for entry in entries} <= {1, 2, 3, 4, 5}


def test_a_store_keeps_the_results_and_finished_videos_are_not_run_again(
    annotations, tmp_path, monkeypatch
):
    runner = make_runner(annotations, tmp_path, benchmark='youtube-vis')
    loop = runner.test_loop
    loop.store = Store()
    assert loop.run() == {}
    assert list(loop.store.frames.items()) == [(1, [0, 1, 2]), (2, [0]), (3, [0, 1])]

    seen = watch_steps(runner.model, monkeypatch)
    loop.store = Store()
    loop.dataloader.sampler.skip_videos = frozenset({1, 2})
    assert len(loop.dataloader.sampler) == 2
    loop.run()
    assert list(loop.store.frames) == [3] and [index for index, _ in seen] == [0, 1]

    loop.dataloader.sampler.skip_videos = frozenset({1, 2, 3})  # nothing left to do
    seen.clear()
    loop.run()
    assert not seen


def test_a_loop_must_know_its_benchmark(annotations, tmp_path):
    runner = make_runner(annotations, tmp_path, benchmark='dawis')
    with pytest.raises(DataError, match="benchmark 'dawis'"):
        runner.build_test_loop(runner.cfg.test_cfg)
    runner.cfg.test_cfg.benchmark = None
    with pytest.raises(DataError, match=r'option benchmark .*youtube-vis.*vot'):
        runner.build_test_loop(runner.cfg.test_cfg)
    runner.cfg.test_cfg.update(benchmark='youtube-vis', online=dict(type='mmvos.OnlineFineTuner'))
    with pytest.raises(ValueError, match='prompts'):
        runner.build_test_loop(runner.cfg.test_cfg)


def test_validation_scores_and_does_not_change_the_model(annotations, tmp_path):
    runner = make_runner(annotations, tmp_path)
    loop = runner.build_val_loop(runner.cfg.val_cfg)
    weights = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.model.train()
    first = loop.run()
    assert {'youtube_vis/AP', 'youtube_vis/AP50', 'youtube_vis/AR10'} <= set(first)
    assert loop.run() == first
    assert all(value.equal(weights[name]) for name, value in runner.model.state_dict().items())
