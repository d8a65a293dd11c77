"""The metric that a validation loop calls: DAVIS scores of label maps, video by video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric

from mmvos.io.label_png import read_label_size
from mmvos.registry import METRICS

from ..input_error import EvaluationInputError
from ..label_files import LabelImages, list_frames
from .scores import score_objects, score_proposals, summarize
from .sequences import Protocol, check_ground_truth, find_ground_truth


@METRICS.register_module()
class DAVISMetric(BaseMetric):
    """J, F and J&F, each mean, recall and decay.

    Args:
        ground_truth: the root of DAVIS, or a folder with one folder of label PNGs per sequence.
        year, task, split, resolution: as in `find_sequences`.
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
        """Score finished videos: {'sequence': str, 'labels': (L, H, W) uint8 ids of all frames, or
        a sequence of (H, W)}.
        """
        for sample in data_samples:
            name, labels = sample['sequence'], sample['labels']
            if name not in self.folders:
                raise EvaluationInputError(
                    f'The video {name} is not in the split that is evaluated; choose the split.'
                )
            paths = list(list_frames(self.folders[name]).values())
            if len(labels) != len(paths):
                raise EvaluationInputError(
                    f'{name}: {len(labels)} label maps but {len(paths)} frames in '
                    f'{self.folders[name]}.'
                )
            truth = LabelImages(paths, read_label_size(paths[0]))
            if tuple(labels[0].shape) != truth.shape:
                raise EvaluationInputError(
                    f'{name}: the results are {labels[0].shape[0]} x {labels[0].shape[1]} but '
                    f'{paths[0]} is {truth.shape[0]} x {truth.shape[1]} (height x width).'
                )
            unsupervised = self.protocol.unsupervised
            scored = range(len(paths)) if unsupervised else range(1, len(paths) - 1)
            score = score_proposals if unsupervised else score_objects
            places = [f'the result of {paths[frame]}' for frame in scored]
            self.results.append(
                score(name, truth, [labels[i] for i in scored], scored, places, self.protocol)
            )

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Summary values by name; refuses to score a part of the split."""
        by_name = {result.name: result for result in results}
        missing = sorted(self.folders.keys() - by_name.keys())
        if missing:
            raise EvaluationInputError(
                f'{len(missing)} sequences of the split have no result, the first is {missing[0]}.'
            )
        return summarize(list(by_name.values())).metrics
