"""The DAVIS scores of a folder of results."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..report import Report
from ..workers import map_in_processes
from .scores import score_files, summarize
from .sequences import Protocol, find_sequences

DAVIS_2017 = Protocol(2017, 'semi-supervised')


def evaluate_davis(
    ground_truth: str | Path,
    results: str | Path,
    protocol: Protocol = DAVIS_2017,
    split: str = 'val',
    resolution: str = '480p',
    processes: int = 1,
) -> Report:
    """Score a folder of results; see `find_sequences` for the arguments.

    Returns:
        `metrics` J&F_mean, J_mean, J_recall, J_decay, F_mean, ... and the tables per_sequence and
        per_object.

    Raises:
        DataError: input that cannot be scored.
    """
    truth = Path(ground_truth)
    folder = Path(results)
    sequences = find_sequences(truth, folder, protocol, split, resolution)

    # longest first, which fills the processes best
    sequences.sort(key=lambda files: -len(files.truth))
    score = partial(score_files, protocol=protocol)
    scores = map_in_processes(score, sequences, processes, 'davis')
    return summarize(scores)
