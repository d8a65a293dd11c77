"""The metric that a test loop calls: VOT measures of supervised runs, sequence by sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric

from mmvos.registry import METRICS

from ..label_files import check_complete
from .intervals import choose_interval
from .scores import Run, measure, summarize
from .sequences import read_sequences
from .trajectories import trajectory


@METRICS.register_module()
class VOTMetric(BaseMetric):
    """EAO, accuracy, robustness and the lost number, in both conventions.

    Args:
        ground_truth: folder that holds one folder with groundtruth.txt per sequence.
        year: 2016, 2018 or 2019, chooses the interval of EAO; `interval` (low, high) replaces it,
            for own sequences.
        collect_device, prefix: see mmengine's `BaseMetric`.
    """

    default_prefix = 'vot'

    def __init__(
        self,
        ground_truth: str,
        year: int = 2018,
        interval: tuple[int, int] | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        sequences = read_sequences(Path(ground_truth))
        self.sequences = {sequence.name: sequence for sequence in sequences}
        self.interval = choose_interval(year, interval)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Score finished runs.

        Args:
            data_batch: not looked at.
            data_samples: {'sequence': str, 'lines': the N lines of `run_supervised`}.
        """
        for sample in data_samples:
            sequence = self.sequences[sample['sequence']]
            track = trajectory(sample['lines'])
            run = measure(track, sequence.truth, sequence.size())
            self.results.append((sequence.name, run))

    def compute_metrics(self, results: list[tuple[str, Run]]) -> dict[str, float]:
        """Give the summary values by name.

        Raises:
            DataError: only a part of the sequences has results.
        """
        by_name = dict(results)  # a sampler may repeat a sequence
        check_complete(self.sequences, by_name)
        runs = {name: [by_name[name]] for name in self.sequences}
        return summarize(runs, self.interval).metrics
