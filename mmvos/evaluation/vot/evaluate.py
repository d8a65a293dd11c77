"""The VOT measures of a folder of supervised runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..report import Report
from ..workers import map_in_processes
from .intervals import choose_interval
from .scores import Run, measure, summarize
from .sequences import VOTSequence, read_results, read_sequences
from .trajectories import Trajectory


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
        year: 2016, 2018 or 2019, chooses the interval of EAO.
        interval: (low, high) in frames, replaces that of the year, for own sequences.
        processes: how many work.

    Raises:
        DataError: input that cannot be scored.
    """
    sequences = read_sequences(Path(ground_truth))
    tracks = read_results(Path(results), sequences)
    measure_one = partial(_measure, tracks=tracks)
    measured = map_in_processes(measure_one, sequences, processes, 'vot')
    runs = {
        sequence.name: repetitions
        for sequence, repetitions in zip(sequences, measured, strict=True)
    }
    return summarize(runs, choose_interval(year, interval))


def _measure(sequence: VOTSequence, tracks: dict[str, list[Trajectory]]) -> list[Run]:
    return [measure(track, sequence.truth, sequence.size()) for track in tracks[sequence.name]]
