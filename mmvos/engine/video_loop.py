"""Loops that test and validate a video model: videos one after the other, frames in order.

The dataset gives single frames, so that loading runs ahead in workers and memory does not grow with
a video's length. The benchmark (``mmvos.evaluation.benchmark``) says how a video is run, and what
is made of its results.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import torch
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop, ValLoop
from torch.utils.data import DataLoader

from mmvos.evaluation.benchmark import Benchmark
from mmvos.evaluation.benchmarks import choose_benchmark
from mmvos.io.errors import DataError
from mmvos.io.progress_bar import shows_bars, with_bar
from mmvos.models import VideoModel
from mmvos.models.video_model import frame_metainfo
from mmvos.registry import LOOPS, TASK_UTILS
from mmvos.structures import Frame, FrameResult, Prompts

from .vot_tracker_adapter import VOTTrackerAdapter

_REPORT_SECONDS = 10
_MIB = 2**20


class ResultStore(Protocol):
    """Keeps the results of finished videos on disk, see ``ResumableResults``."""

    def keep(self, video: Any, results: Iterable[Any]) -> None:
        """Keep the results of one video as they come; it is finished when this returns."""


class ModelRunner:
    """Runs a model as a benchmark asks for it, see ``VideoRunner``.

    Args:
        model: in evaluation mode.
        tuner: an ``OnlineFineTuner``, which adapts the model to each video; None: the model is
            taken as it is.
    """

    def __init__(self, model: VideoModel, tuner: Any = None) -> None:
        self.model = model
        self.tuner = tuner

    def run(
        self, frames: Iterable[Frame], prompts: Mapping[int, Prompts] | None = None
    ) -> Iterator[FrameResult]:
        """Go through a video; ``prompts`` by frame index."""
        if self.tuner is None:
            return self.model.run(frames, prompts)
        return self.tuner.run(self.model, frames, prompts)

    def make_tracker(self) -> VOTTrackerAdapter:
        """Make a tracker that is started on a region and asked for one in each later frame."""
        return VOTTrackerAdapter(self.model)


class VideoStream:
    """Runs a model over the videos of one process, and counts frames and time.

    Args:
        model: a ``VideoModel``, possibly wrapped for distributed use.
        dataloader: batches of one frame, the frames of a video contiguous and in order.
        benchmark: says how a video is run.
        tuner: see ``ModelRunner``.
    """

    def __init__(
        self, model: Any, dataloader: Any, benchmark: Benchmark, tuner: Any = None
    ) -> None:
        self.model = model.module if is_model_wrapper(model) else model
        self.dataloader = dataloader
        self.benchmark = benchmark
        self.runner = ModelRunner(self.model, tuner)
        self.frames = 0
        self.seconds_waited = 0.0  # for frames to be loaded
        self._started = time.perf_counter()
        self._reported = self._started

    def __iter__(self) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Yield each video of the data set and its results, which must be used up before the next
        video.
        """
        dataset = self.dataloader.dataset
        videos = {video.id: video for video in dataset.videos}
        for video_id, batches in groupby(self._batches(), key=_video_id):
            video = videos[video_id]
            frames = self._frames(batches)
            results = self.benchmark.run(video, frames, dataset, self.runner)
            yield video, results

    def report(self) -> str:
        """Say time and memory so far."""
        seconds = time.perf_counter() - self._started
        frames = max(self.frames, 1)
        tuning = ''
        if self.runner.tuner is not None:
            tuning = f' and {self.runner.tuner.seconds / frames:.4f} s online fine-tuning'

        # the system counts in KiB
        memory = f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB:.0f} MiB'
        if torch.cuda.is_available():
            memory += f', {torch.cuda.max_memory_allocated() / _MIB:.0f} MiB of the GPU'
        return (
            f'{self.frames} frames in {seconds:.1f} s: {seconds / frames:.4f} s per frame, of '
            f'which {self.seconds_waited / frames:.4f} s waiting for frames{tuning}; peak memory '
            f'{memory}'
        )

    def _frames(self, batches: Iterable[dict[str, Any]]) -> Iterator[Frame]:
        """Yield the frames of one video; they are counted when they are done with."""
        for batch in batches:
            yield self.model.make_frame(batch)
            self.frames += 1
            now = time.perf_counter()
            if now - self._reported > _REPORT_SECONDS and not shows_bars():
                self._reported = now
                rate = self.frames / (now - self._started)
                MMLogger.get_current_instance().info(
                    f'{self.frames} of {len(self.dataloader)} frames, {rate:.1f} frames/s'
                )

    def _batches(self) -> Iterator[dict[str, Any]]:
        """Yield the batches; the time that they are waited for is counted."""
        # The processes work alike, so that the first one's bar says how far all are.
        batches = self.dataloader
        if is_main_process():
            batches = with_bar(self.dataloader, 'frames', unit=' frames')
        before = time.perf_counter()
        for batch in batches:
            self.seconds_waited += time.perf_counter() - before
            yield batch
            before = time.perf_counter()


def _video_id(batch: dict[str, Any]) -> int:
    """The video of the frame in a batch of one."""
    (sample,) = batch['data_samples']
    return int(frame_metainfo(sample)['video_id'])


def check_batches(dataloader: DataLoader[Any]) -> None:
    """Refuse to go through videos in batches of several frames.

    Raises:
        DataError: the loader makes such batches.
    """
    if dataloader.batch_size != 1:
        raise DataError(
            f'videos go through the model frame by frame: the batch_size of their dataloader must '
            f'be 1, not {dataloader.batch_size}'
        )


def _collect_in(metrics: Iterable[Any], work_dir: str) -> None:
    """Let the processes exchange results below the run's folder; mmengine's place is a folder
    ``.dist_test`` that stays in the working directory.
    """
    for metric in metrics:
        if metric.collect_device == 'cpu' and metric.collect_dir is None:
            metric.collect_dir = str(Path(work_dir, '.collected'))  # removed when they are read


@LOOPS.register_module()
class VideoValLoop(ValLoop):
    """Validates during training: every video through the model, then the evaluator.

    Args:
        benchmark: name of the benchmark that says how videos are run; None: that of the evaluator's
            metric.
        kwargs: see mmengine's ``ValLoop``.

    Raises:
        DataError: no benchmark is named, and the evaluator has no metric of one.
    """

    def __init__(self, benchmark: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_batches(self.dataloader)
        self.benchmark = choose_benchmark(benchmark, self.evaluator.metrics)

    def run(self) -> dict[str, float]:
        """Run one validation; returns the metrics on the main process."""
        self.runner.call_hook('before_val')
        self.runner.call_hook('before_val_epoch')
        self.runner.model.eval()

        dataset = self.dataloader.dataset
        for video, results in VideoStream(self.runner.model, self.dataloader, self.benchmark):
            sample = self.benchmark.sample(video, results, dataset)
            self.evaluator.process(data_samples=[sample])
        _collect_in(self.evaluator.metrics, self.runner.work_dir)
        metrics = self.evaluator.evaluate(len(dataset.videos))

        self.runner.call_hook('after_val_epoch', metrics=metrics)
        self.runner.call_hook('after_val')
        return metrics


@LOOPS.register_module()
class VideoTestLoop(TestLoop):
    """Tests a model: every video through the model, then the evaluator.

    ``store``, when set before ``run``, keeps each finished video at once; results are then scored
    from what it has written, and the evaluator sees none of them.

    Args:
        online: config of an ``OnlineFineTuner``, which adapts the model to each video (the model
            must not be optimized then).
        benchmark: name of the benchmark that says how videos are run; None: that of the evaluator's
            metric.
        kwargs: see mmengine's ``TestLoop``.

    Raises:
        DataError: no benchmark is named, and the evaluator has no metric of one.
        ValueError: online fine-tuning is asked for, but the benchmark gives no prompts.
    """

    store: ResultStore | None = None

    def __init__(
        self, online: dict[str, Any] | None = None, benchmark: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_batches(self.dataloader)
        self.benchmark = choose_benchmark(benchmark, self.evaluator.metrics)
        self.tuner = None
        if online:
            if not self.benchmark.gives_prompts:
                raise ValueError(
                    f'online fine-tuning learns from prompts, and {self.benchmark.name} gives none'
                )
            self.tuner = TASK_UTILS.build(online)

    def run(self) -> dict[str, float]:
        """Run the test; returns the metrics on the main process."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()

        dataset = self.dataloader.dataset
        # Videos one after the other; a store keeps results so that a run can go on.
        stream = VideoStream(self.runner.model, self.dataloader, self.benchmark, self.tuner)
        for video, results in stream:
            if self.store is not None:
                self.store.keep(video, results)
            else:
                sample = self.benchmark.sample(video, results, dataset)
                self.evaluator.process(data_samples=[sample])
        self.runner.logger.info(stream.report())
        _collect_in(self.evaluator.metrics, self.runner.work_dir)
        metrics = self.evaluator.evaluate(len(dataset.videos))

        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics
