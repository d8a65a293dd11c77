"""Loops that test and validate a video model: videos one after the other, frames in order, one result per video.

The dataset gives single frames, so that loading runs ahead in workers and memory does not grow with a video's length.
"""
from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Protocol

from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop, ValLoop

from mmvos.evaluation.youtube_vis import result_entries
from mmvos.registry import LOOPS
from mmvos.structures import VideoTracks

VideoSample = dict[str, Any]  # {'video_id': int, 'length': int, 'entries': list in the YouTube-VIS results schema}


class ResultStore(Protocol):
    """Keeps the results of finished videos on disk, so that a killed test run can go on."""

    finished: frozenset[int]  # ids of the videos that an earlier run finished

    def append(self, video_id: int, entries: list[dict[str, Any]]) -> None:
        """Keeps one more finished video."""

    def read(self, video_id: int) -> list[dict[str, Any]]:
        """The entries of a finished video."""


class _Videos:
    """The videos of one process: runs the model over the frames that a dataloader gives.

    Args:
        model: a ``VideoModel``, possibly wrapped for distributed use.
        dataloader: batches of one frame, the frames of a video contiguous and in order.
    """

    def __init__(self, model: Any, dataloader: Any) -> None:
        self.model = model.module if is_model_wrapper(model) else model
        self.dataloader = dataloader

    def __iter__(self) -> Iterator[VideoSample]:
        category_ids = self.dataloader.dataset.metainfo['category_ids']
        started, reported, frames = time.perf_counter(), time.perf_counter(), 0
        for video_id, batches in groupby(self.dataloader, key=lambda batch: _meta(batch)['video_id']):
            tracks = self._tracks(batches)
            frames += tracks.length
            now = time.perf_counter()
            if now - reported > 10:
                reported = now
                MMLogger.get_current_instance().info(
                    f'{frames} of {len(self.dataloader)} frames, {frames / (now - started):.1f} frames/s')
            yield dict(video_id=video_id, length=tracks.length,
                       entries=result_entries(video_id, tracks.tracks(), category_ids))

    def _tracks(self, batches: Iterable[dict[str, Any]]) -> VideoTracks:
        """Runs the model over one video."""
        first = next(batches := iter(batches))
        tracks = VideoTracks(_meta(first)['video_length'])
        frames = (self.model.make_frame(batch) for group in ([first], batches) for batch in group)
        for result in self.model.run(frames):
            tracks.add(result)
        return tracks


def _meta(batch: dict[str, Any]) -> dict[str, Any]:
    """Meta information of the frame in a batch of one."""
    sample, = batch['data_samples']
    return (sample[0] if hasattr(sample, 'video_data_samples') else sample).metainfo


@LOOPS.register_module()
class VideoValLoop(ValLoop):
    """Validates during training: every video through the model, then the evaluator."""

    def run(self) -> dict[str, float]:
        """Runs one validation; returns the metrics on the main process."""
        self.runner.call_hook('before_val')
        self.runner.call_hook('before_val_epoch')
        self.runner.model.eval()
        for sample in _Videos(self.runner.model, self.dataloader):
            self.evaluator.process(data_samples=[sample])
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset.videos))
        self.runner.call_hook('after_val_epoch', metrics=metrics)
        self.runner.call_hook('after_val')
        return metrics


@LOOPS.register_module()
class VideoTestLoop(TestLoop):
    """Tests a model: every video through the model, then the evaluator.

    ``store``, when set before ``run``, keeps each finished video at once; the videos that it has already finished (leave them out
    of the sampler) are evaluated with the others.
    """

    store: ResultStore | None = None

    def run(self) -> dict[str, float]:
        """Runs the test; returns the metrics on the main process."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        for sample in self._earlier():
            self.evaluator.process(data_samples=[sample])
        for sample in _Videos(self.runner.model, self.dataloader):
            if self.store is not None:
                self.store.append(sample['video_id'], sample['entries'])
            self.evaluator.process(data_samples=[sample])
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset.videos))
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def _earlier(self) -> Iterator[VideoSample]:
        """The videos that an earlier run finished; on the main process only, so that each counts once."""
        if self.store is None or self.runner.rank != 0:
            return
        lengths = {video.id: video.length for video in self.dataloader.dataset.videos}
        for video_id in sorted(self.store.finished):
            yield dict(video_id=video_id, length=lengths[video_id], entries=self.store.read(video_id))
