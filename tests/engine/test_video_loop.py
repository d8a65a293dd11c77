"""The loops over videos, on a data set of three small videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.runner import Runner
from tiny_videos import tiny_training, write_tiny_videos

from mmvos.structures import FrameResult


@pytest.fixture(scope='module')
def annotations(tmp_path_factory) -> Path:
    return write_tiny_videos(tmp_path_factory.mktemp('videos'))


class Store:
    """Results of finished videos in memory."""

    def __init__(self, finished: dict[int, list[dict[str, Any]]] | None = None) -> None:
        self.entries = dict(finished or {})
        self.finished = frozenset(self.entries)
        self.order: list[int] = []

    def append(self, video_id: int, entries: list[dict[str, Any]]) -> None:
        self.entries[video_id] = entries
        self.order.append(video_id)

    def read(self, video_id: int) -> list[dict[str, Any]]:
        return self.entries[video_id]


def make_runner(annotations: Path, folder: Path, **overrides: Any) -> Runner:
    config = tiny_training(annotations, **overrides)
    config.work_dir = str(folder)
    config.default_hooks.checkpoint = None
    runner = Runner.from_cfg(config)
    runner.call_hook('before_run')  # as Runner.test does; the logger opens its files
    return runner


def test_testing_goes_through_every_frame_of_every_video_in_order(
    annotations, tmp_path, monkeypatch
):
    out = str(tmp_path / 'results')
    runner = make_runner(annotations, tmp_path, test_evaluator__outfile_prefix=out)
    loop = runner.build_test_loop(runner.cfg.test_cfg)
    loop.store = Store()
    seen: list[tuple[int, int]] = []
    step = runner.model.step

    def watched(frame: Any, state: Any, prompts: Any = None) -> tuple[Any, FrameResult]:
        seen.append((frame.meta.index, len(state.labels)))
        assert frame.meta.original_shape == (48, 64) and tuple(frame.image.shape) == (1, 3, 64, 64)
        return step(frame, state, prompts)

    monkeypatch.setattr(runner.model, 'step', watched)
    metrics = loop.run()
    assert [index for index, _ in seen] == [0, 1, 2, 0, 0, 1]
    # a memory for each video
    assert [known == 0 for index, known in seen] == [index == 0 for index, _ in seen]
    assert loop.store.order == [1, 2, 3]
    assert not runner.model.training
    assert 0 <= metrics['youtube_vis/AP'] <= 1

    entries = json.loads(Path(out + '.json').read_text())
    assert entries == [entry for video_id in (1, 2, 3) for entry in loop.store.entries[video_id]]
    lengths = {1: 3, 2: 1, 3: 2}
    assert entries and all(
        len(entry['segmentations']) == lengths[entry['video_id']] for entry in entries
    )
    assert {entry['category_id'] for entry in entries} <= {1, 2, 3, 4, 5}


def test_finished_videos_are_evaluated_but_not_run_again(annotations, tmp_path, monkeypatch):
    first = Store()
    runner = make_runner(annotations, tmp_path / 'a')
    loop = runner.build_test_loop(runner.cfg.test_cfg)
    loop.store = first
    expected = loop.run()

    runner = make_runner(annotations, tmp_path / 'b')
    loop = runner.build_test_loop(runner.cfg.test_cfg)
    loop.store = Store({1: first.entries[1], 2: first.entries[2]})
    loop.dataloader.sampler.skip_videos = loop.store.finished
    assert len(loop.dataloader.sampler) == 2
    assert loop.run() == expected
    assert loop.store.order == [3] and loop.store.entries == first.entries

    loop.store = Store(first.entries)  # nothing left to do
    loop.dataloader.sampler.skip_videos = loop.store.finished
    assert loop.run() == expected and loop.store.order == []


def test_validation_scores_and_does_not_change_the_model(annotations, tmp_path):
    runner = make_runner(annotations, tmp_path)
    loop = runner.build_val_loop(runner.cfg.val_cfg)
    weights = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.model.train()
    first = loop.run()
    assert {'youtube_vis/AP', 'youtube_vis/AP50', 'youtube_vis/AR10'} <= set(first)
    assert loop.run() == first
    assert all(value.equal(weights[name]) for name, value in runner.model.state_dict().items())
