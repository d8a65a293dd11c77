"""The metric that a validation loop calls: DAVIS scores of label maps, video by video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric

from mmvos.io.errors import DataError
from mmvos.io.label_png import Labels, read_label_size
from mmvos.registry import METRICS

from ..label_files import LabelImages, check_complete, list_frames
from .scores import SequenceScores, score_sequence, summarize
from .sequences import Protocol, check_ground_truth, find_ground_truth, scored_frames


@METRICS.register_module()
class DAVISMetric(BaseMetric):
    """J, F and J&F, each mean, recall and decay.

    Args:
        ground_truth: the root of DAVIS, or a folder with one folder of label PNGs per sequence.
        year, task, split, resolution: see the options of ``evaluate davis``.
        collect_device, prefix: see mmengine's `BaseMetric`.
    """

    default_prefix = 'davis'

    def __init__(
        self,
        ground_truth: str,
        year: int = 2017,
        task: str = 'semi-supervised',
        split: str = 'val',
        resolution: str = '480p',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.protocol = Protocol(year, task)
        self.folders = find_ground_truth(Path(ground_truth), self.protocol, split, resolution)
        check_ground_truth(self.folders, self.protocol)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Score finished videos.

        Args:
            data_batch: not looked at.
            data_samples: {'sequence': str, 'labels': (L, H, W) uint8 ids of all frames, or a
                sequence of (H, W)}.

        Raises:
            DataError: a video is not in the split, or has other frames than its ground truth.
        """
        for sample in data_samples:
            self.results.append(self._score(sample['sequence'], sample['labels']))

    def _score(self, name: str, labels: Sequence[Labels]) -> SequenceScores:
        """Score one video from its label maps."""
        if name not in self.folders:
            raise DataError(
                f'The video {name} is not in the split that is evaluated; choose the split.'
            )

        # The ground truth, frame by frame, with results of the same number and size.
        folder = self.folders[name]
        paths = list(list_frames(folder).values())
        if len(labels) != len(paths):
            raise DataError(
                f'{name}: {len(labels)} label maps but {len(paths)} frames in {folder}.'
            )
        truth = LabelImages(paths, read_label_size(paths[0]))
        height, width = labels[0].shape
        if (height, width) != truth.shape:
            raise DataError(
                f'{name}: the results are {height} x {width} but {paths[0]} is {truth.shape[0]} x '
                f'{truth.shape[1]} (height x width).'
            )

        # The first and the last frame do not count, as the protocol says.
        scored = scored_frames(folder, len(paths), self.protocol)
        scored_labels = [labels[frame] for frame in scored]
        places = [f'the result of {paths[frame]}' for frame in scored]
        return score_sequence(name, truth, scored_labels, scored, places, self.protocol)

    def compute_metrics(self, results: list[SequenceScores]) -> dict[str, float]:
        """Give the summary values by name.

        Raises:
            DataError: only a part of the split has results.
        """
        # a sampler may repeat a video
        by_name = {result.name: result for result in results}
        check_complete(self.folders, by_name)
        report = summarize(list(by_name.values()))
        return report.metrics
