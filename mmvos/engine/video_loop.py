"""Loops that test and validate a video model: videos one after the other, frames in order, one
result per video.

The dataset gives single frames, so that loading runs ahead in workers and memory does not grow with
a video's length. A data set whose objects are told (``MaskVideoDataset``) has ``prompts``, and its
results are label maps; those of supervised runs (``VOTDataset``) are lines; those of others are
tracks.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import torch
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop, ValLoop

from mmvos.evaluation.vot import SupervisedVideo, run_supervised
from mmvos.evaluation.youtube_vis import result_entries
from mmvos.io.label_png import Labels, as_labels
from mmvos.models.video_model import frame_metainfo
from mmvos.registry import LOOPS, TASK_UTILS
from mmvos.structures import Frame, FrameResult, VideoTracks

# {'video_id': int, 'length': int, 'entries': list in the YouTube-VIS results schema}, or
# {'sequence': str, 'frames': list of names, 'labels': sequence of (H, W) ids, see label_png}, or
# {'sequence': str, 'lines': list of codes and regions}
VideoSample = dict[str, Any]
_REPORT_SECONDS = 10
_MIB = 2**20


class ResultStore(Protocol):
    """Keeps the results of finished videos on disk, so that a killed test run can go on."""

    finished: frozenset[int]  # ids of the videos that an earlier run finished

    def append(self, video_id: int, entries: list[dict[str, Any]]) -> None:
        """Keeps one more finished video."""

    def read(self, video_id: int) -> list[dict[str, Any]]:
        """The entries of a finished video."""


class FileStore(Protocol):
    """Writes label maps, frame by frame, or the lines of supervised runs to files."""

    def keep(self, video: Any, results: Iterable[Any]) -> None:
        """Writes the results of one video as they come; it is finished when this returns."""


class _Videos:
    """The videos of one process: runs the model over the frames that a dataloader gives.

    Args:
        model: a ``VideoModel``, possibly wrapped for distributed use.
        dataloader: batches of one frame, the frames of a video contiguous and in order.
        tuner: adapts the model to each video whose objects are told; None: the model is taken as it
            is.
    """

    def __init__(self, model: Any, dataloader: Any, tuner: Any = None) -> None:
        self.model = model.module if is_model_wrapper(model) else model
        self.tuner = tuner
        self.dataloader = dataloader
        self.frames = 0
        self.waited = 0.0  # seconds for frames to be loaded
        self._started = self._reported = time.perf_counter()

    def __iter__(self) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Yields each video of the data set and the results of its frames (of a supervised run its
        lines), which must be used up before the next video.
        """
        videos = {video.id: video for video in self.dataloader.dataset.videos}
        for video_id, batches in groupby(
            self._batches(), key=lambda batch: _meta(batch)['video_id']
        ):
            video, frames = videos[video_id], self._frames(batches)
            yield (
                video,
                self._lines(video, frames)
                if isinstance(video, SupervisedVideo)
                else self._results(video, frames),
            )

    def sample(self, video: Any, results: Iterable[Any]) -> VideoSample:
        """What the metrics take for a video."""
        dataset = self.dataloader.dataset
        if isinstance(video, SupervisedVideo):
            return dict(sequence=video.name, lines=list(results))
        if _is_told(dataset):
            kept = list(results)
            frames = [video.frame_names[result.frame_index] for result in kept]
            return dict(sequence=video.name, frames=frames, labels=_LabelMaps(kept))
        tracks = VideoTracks(video.length)
        for result in results:
            tracks.add(result)
        entries = result_entries(video.id, tracks.tracks(), dataset.metainfo['category_ids'])
        return dict(video_id=video.id, length=video.length, entries=entries)

    def report(self) -> str:
        """Time and memory so far, in words."""
        seconds = time.perf_counter() - self._started
        memory = [f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB:.0f} MiB']
        if torch.cuda.is_available():
            memory.append(f'{torch.cuda.max_memory_allocated() / _MIB:.0f} MiB of the GPU')
        each = max(self.frames, 1)
        tuning = (
            f' and {self.tuner.seconds / each:.4f} s online fine-tuning'
            if self.tuner is not None
            else ''
        )
        return (
            f'{self.frames} frames in {seconds:.1f} s: {seconds / each:.4f} s per frame, of which '
            f'{self.waited / each:.4f} s '
            f'waiting for frames{tuning}; peak memory {", ".join(memory)}'
        )

    def _frames(self, batches: Iterable[dict[str, Any]]) -> Iterator[Frame]:
        """The frames of one video; they are counted when they are done with."""
        for batch in batches:
            yield self.model.make_frame(batch)
            self.frames += 1
            now = time.perf_counter()
            if now - self._reported > _REPORT_SECONDS:
                self._reported = now
                rate = self.frames / (now - self._started)
                MMLogger.get_current_instance().info(
                    f'{self.frames} of {len(self.dataloader)} frames, {rate:.1f} frames/s'
                )

    def _lines(self, video: SupervisedVideo, frames: Iterable[Frame]) -> Iterator[Any]:
        """Runs the model over one sequence, started again where it has lost the object."""
        tracker = TASK_UTILS.build(dict(type='mmvos.SupervisedSegmenter', model=self.model))
        yield from run_supervised(frames, video.sequence.truth, tracker, video.sequence.size())

    def _results(self, video: Any, frames: Iterable[Frame]) -> Iterator[FrameResult]:
        """Runs the model over one video and yields the results that count."""
        dataset = self.dataloader.dataset
        prompts = dataset.prompts(video) if _is_told(dataset) else None
        wanted = (
            dataset.wanted_frames(video, prompts) if prompts is not None else range(video.length)
        )
        results = (
            self.model.run(frames, prompts)
            if self.tuner is None
            else self.tuner.run(self.model, frames, prompts)
        )
        yield from (result for result in results if result.frame_index in wanted)

    def _batches(self) -> Iterator[dict[str, Any]]:
        """The batches; the time that they are waited for is counted."""
        before = time.perf_counter()
        for batch in self.dataloader:
            self.waited += time.perf_counter() - before
            yield batch
            before = time.perf_counter()


class _LabelMaps(Sequence[Labels]):
    """The label maps of results, made when they are asked for: a video's maps are large, its run
    lengths are not.
    """

    def __init__(self, results: Sequence[FrameResult]) -> None:
        self._results = results

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index: int) -> Labels:  # type: ignore[override]
        return as_labels(self._results[index].label_map())


def _is_told(dataset: Any) -> bool:
    """Whether a data set says which objects to follow."""
    return hasattr(dataset, 'prompts')


def _meta(batch: dict[str, Any]) -> dict[str, Any]:
    """Meta information of the frame in a batch of one."""
    (sample,) = batch['data_samples']
    return frame_metainfo(sample)


def _collect_in(metrics: Iterable[Any], work_dir: str) -> None:
    """Let the processes exchange results below the run's folder; mmengine's place is a folder
    ``.dist_test`` that stays in the working directory.
    """
    for metric in metrics:
        if metric.collect_device == 'cpu' and metric.collect_dir is None:
            metric.collect_dir = str(Path(work_dir, '.collected'))  # removed when they are read


@LOOPS.register_module()
class VideoValLoop(ValLoop):
    """Validates during training: every video through the model, then the evaluator."""

    def run(self) -> dict[str, float]:
        """Runs one validation; returns the metrics on the main process."""
        self.runner.call_hook('before_val')
        self.runner.call_hook('before_val_epoch')
        self.runner.model.eval()
        videos = _Videos(self.runner.model, self.dataloader)
        for video, results in videos:
            self.evaluator.process(data_samples=[videos.sample(video, results)])
        _collect_in(self.evaluator.metrics, self.runner.work_dir)
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset.videos))
        self.runner.call_hook('after_val_epoch', metrics=metrics)
        self.runner.call_hook('after_val')
        return metrics


@LOOPS.register_module()
class VideoTestLoop(TestLoop):
    """Tests a model: every video through the model, then the evaluator.

    ``store``, when set before ``run``, keeps each finished video at once; the videos that it has
    already finished (leave them out of the sampler) are evaluated with the others. ``files``, when
    set, writes the label maps of a data set with prompts, or the lines of supervised runs; they are
    scored from the files, and the evaluator sees none of them.

    Args:
        online: config of an ``OnlineFineTuner``, which adapts the model to each video (the model
            must not be optimized then).
        kwargs: see mmengine's ``TestLoop``.

    Raises:
        ValueError: online fine-tuning is asked for, but the data set does not tell the objects.
    """

    store: ResultStore | None = None
    files: FileStore | None = None

    def __init__(self, online: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if online and not _is_told(self.dataloader.dataset):
            raise ValueError('online fine-tuning learns from prompts, and this data set has none')
        self.tuner = TASK_UTILS.build(online) if online else None

    def run(self) -> dict[str, float]:
        """Runs the test; returns the metrics on the main process."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        for sample in self._earlier():
            self.evaluator.process(data_samples=[sample])
        videos = _Videos(self.runner.model, self.dataloader, self.tuner)
        for video, results in videos:
            if self.files is not None:
                self.files.keep(video, results)
                continue
            sample = videos.sample(video, results)
            if self.store is not None:
                self.store.append(sample['video_id'], sample['entries'])
            self.evaluator.process(data_samples=[sample])
        self.runner.logger.info(videos.report())
        _collect_in(self.evaluator.metrics, self.runner.work_dir)
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset.videos))
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def _earlier(self) -> Iterator[VideoSample]:
        """The videos that an earlier run finished; on the main process only, so that each counts
        once.
        """
        if self.store is None or self.runner.rank != 0:
            return
        lengths = {video.id: video.length for video in self.dataloader.dataset.videos}
        for video_id in sorted(self.store.finished):
            yield dict(
                video_id=video_id, length=lengths[video_id], entries=self.store.read(video_id)
            )
