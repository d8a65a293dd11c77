"""The metric that a test loop calls: VOT measures of supervised runs, sequence by sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric

from mmvos.registry import METRICS

from ..input_error import EvaluationInputError
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
        self.sequences = {
            sequence.name: sequence for sequence in read_sequences(Path(ground_truth))
        }
        self.interval = choose_interval(year, interval)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Score finished runs: {'sequence': str, 'lines': the N lines of `run_supervised`}."""
        for sample in data_samples:
            sequence = self.sequences[sample['sequence']]
            run = measure(trajectory(sample['lines']), sequence.truth, sequence.size())
            self.results.append((sequence.name, run))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Summary values by name; refuses to score a part of the sequences."""
        runs: dict[str, list[Run]] = {name: [run] for name, run in results}
        missing = sorted(self.sequences.keys() - runs.keys())
        if missing:
            raise EvaluationInputError(
                f'{len(missing)} sequences have no result, the first is {missing[0]}.'
            )
        return summarize({name: runs[name] for name in self.sequences}, self.interval).metrics
