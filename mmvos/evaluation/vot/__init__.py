"""VOT 2016, 2018 and 2019: supervised runs, their files, and accuracy, robustness and EAO in two
conventions.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.lazy_imports import lazy_attributes

from ..report import Report
from ..workers import map_in_processes
from .raster import overlap, toolkit_overlap
from .regions import box_of_polygon
from .scores import INTERVALS, Interval, Run, measure, summarize
from .sequences import VOTSequence, read_results, read_sequences
from .supervised_run import SupervisedTracker, run_sequences, run_supervised, write_trajectory
from .toolkit_workspace import export_workspace
from .trajectories import Trajectory, read_trajectory, trajectory

if TYPE_CHECKING:
    from .dataset import SupervisedVideo, VOTDataset
    from .metric import VOTMetric

__all__ = [
    'INTERVALS',
    'Interval',
    'Run',
    'SupervisedTracker',
    'SupervisedVideo',
    'Trajectory',
    'VOTDataset',
    'VOTMetric',
    'VOTSequence',
    'box_of_polygon',
    'evaluate_vot',
    'export_workspace',
    'measure',
    'overlap',
    'read_results',
    'read_sequences',
    'read_trajectory',
    'run_sequences',
    'run_supervised',
    'summarize',
    'toolkit_overlap',
    'trajectory',
    'write_trajectory',
]

__getattr__ = lazy_attributes(
    __name__, {'metric': ['VOTMetric'], 'dataset': ['SupervisedVideo', 'VOTDataset']}
)


def evaluate_vot(
    ground_truth: str | Path,
    results: str | Path,
    year: int = 2018,
    interval: tuple[int, int] | None = None,
    processes: int = 1,
) -> Report:
    """Score the result files of a supervised run.

    Args:
        ground_truth: folder that holds one folder with groundtruth.txt (and frames) per sequence.
        results: folder with baseline/SEQUENCE/SEQUENCE_001.txt.
        year: 2016, 2018 or 2019, chooses the interval of EAO; `interval` (low, high) replaces it,
            for own sequences.
    Raises:
        EvaluationInputError: input that cannot be scored.
    """
    sequences = read_sequences(Path(ground_truth))
    tracks = read_results(Path(results), sequences)
    lengths = INTERVALS[year] if interval is None else Interval(interval, interval)
    measured = map_in_processes(partial(_measure, tracks=tracks), sequences, processes, 'vot')
    return summarize(
        {sequence.name: runs for sequence, runs in zip(sequences, measured, strict=True)}, lengths
    )


def _measure(sequence: VOTSequence, tracks: dict[str, list[Trajectory]]) -> list[Run]:
    return [measure(track, sequence.truth, sequence.size()) for track in tracks[sequence.name]]
