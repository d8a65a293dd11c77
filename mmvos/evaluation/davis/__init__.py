"""DAVIS-2016 and DAVIS-2017, semi-supervised and unsupervised: J, F and J&F over objects."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.lazy_imports import lazy_attributes

from ..report import Report
from ..workers import map_in_processes
from .scores import SequenceScores, score_files, score_objects, score_proposals, summarize
from .sequences import (
    Protocol,
    SequenceFiles,
    check_ground_truth,
    find_ground_truth,
    find_sequences,
)

if TYPE_CHECKING:
    from .metric import DAVISMetric

__all__ = [
    'DAVISMetric',
    'Protocol',
    'SequenceFiles',
    'SequenceScores',
    'check_ground_truth',
    'evaluate_davis',
    'find_ground_truth',
    'find_sequences',
    'score_files',
    'score_objects',
    'score_proposals',
    'summarize',
]

__getattr__ = lazy_attributes(__name__, {'metric': ['DAVISMetric']})

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
        EvaluationInputError: input that cannot be scored.
    """
    sequences = find_sequences(Path(ground_truth), Path(results), protocol, split, resolution)
    longest_first = sorted(sequences, key=lambda files: -len(files.truth))
    return summarize(
        map_in_processes(partial(score_files, protocol=protocol), longest_first, processes, 'davis')
    )
