"""DAVIS scores of one sequence and of a set (Perazzi et al., CVPR 2016; Pont-Tuset et al., 2017;
Caelles et al., 2019).

Letters: H, W frame; K objects of the ground truth; P proposals of the results; n scored frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mmvos.io.label_png import VOID, Labels, read_label_size, void_pixels

from ..input_error import EvaluationInputError
from ..j_and_f import Region, contour_accuracy, contour_radius, jaccard, region, statistics
from ..label_files import (
    FrameLabels,
    LabelImages,
    ResultImages,
    has_void,
    ids_in,
    mask_of,
    merged_result,
    merged_truth,
)
from ..report import Report
from .sequences import Protocol, SequenceFiles, no_object_message

MOST_PROPOSALS = 20


@dataclass(frozen=True)
class SequenceScores:
    """`objects` (K) ids of the ground truth; `j`, `f` (K, n) per scored frame; `notes` on what was
    not scored.
    """

    name: str
    objects: tuple[int, ...]
    j: NDArray[np.float64]
    f: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def score_files(files: SequenceFiles, protocol: Protocol) -> SequenceScores:
    """Score one sequence from its files, one frame in memory at a time."""
    shape = read_label_size(files.truth[0])
    truth = LabelImages(files.truth, shape)
    results = ResultImages(files.results, shape)
    score = score_proposals if protocol.unsupervised else score_objects
    return score(
        files.name, truth, results, files.scored, [str(path) for path in files.results], protocol
    )


def score_objects(
    name: str,
    truth: Sequence[Labels],
    results: Sequence[FrameLabels],
    scored: Sequence[int],
    places: Sequence[str],
    protocol: Protocol,
) -> SequenceScores:
    """Semi-supervised: each object of the first frame is compared with the result of the same id.

    Args:
        truth: (H, W) labels of all frames. scored: the n frames that count. results: labels of
            those.
        places: names of the results, for messages.
    """
    merge = protocol.year == 2016
    first = merged_truth(truth[0]) if merge else truth[0]
    given = ids_in(first)
    if not given:
        raise EvaluationInputError(no_object_message(name))
    objects = list(range(1, max(given) + 1)) if protocol.official else given
    known, scores = set(objects), []
    strangers: dict[int, str] = {}
    height, width = first.shape
    shape = height, width
    radius = contour_radius(height, width)
    for frame, labels, place in zip(scored, results, places, strict=True):
        wanted = truth[frame]
        if merge:
            wanted, labels = merged_truth(wanted), merged_result(labels, shape)
        if not protocol.official:
            known |= set(ids_in(wanted))
        given_ids = ids_in(labels)
        if has_void(labels):
            given_ids.append(VOID)
        strangers |= {i: place for i in given_ids if i not in known | strangers.keys()}
        values = []
        for i in objects:
            prediction = region(mask_of(labels, i, shape), radius)
            values.append(_compare(prediction, region(wanted == i, radius)))
        scores.append(values)
    unknown = sorted(strangers.keys() - known)
    if unknown:
        raise EvaluationInputError(
            f'{strangers[unknown[0]]} has the id {unknown[0]}, which the ground truth of {name} '
            f'does not '
            f'have (it has {", ".join(map(str, sorted(known)))}); write the ids of the first frame.'
        )
    late = sorted(known - set(objects))
    notes = (
        (
            f'{name}: the objects {late} are not in the first frame and were not scored (the DAVIS '
            f'convention); '
            'the youtube-vos protocol scores them.',
        )
        if late
        else ()
    )
    j, f = np.array(scores).transpose(2, 1, 0)
    return SequenceScores(name, tuple(objects), j, f, notes)


def score_proposals(
    name: str,
    truth: Sequence[Labels],
    results: Sequence[FrameLabels],
    scored: Sequence[int],
    places: Sequence[str],
    protocol: Protocol,
) -> SequenceScores:
    """Unsupervised: proposals are given to objects so that the mean of J and F is highest; void
    does not count.

    Args: as of `score_objects`.
    """
    merge = protocol.year == 2016
    proposals: set[int] = set()
    for labels, place in zip(results, places, strict=True):
        proposals |= set(ids_in(labels))
        if not merge and has_void(labels):
            raise EvaluationInputError(
                f'{place} has the id {VOID}, which marks void pixels; proposals have the ids 1 to '
                f'254.'
            )
    if len(proposals) > MOST_PROPOSALS and not merge:
        raise EvaluationInputError(
            f'{name}: {len(proposals)} proposals; at most {MOST_PROPOSALS} are allowed.'
        )
    objects = sorted(set().union(*(ids_in(truth[frame]) for frame in scored)))
    if protocol.official:
        objects = list(range(1, max(ids_in(truth[0]), default=0) + 1))
    if not objects:
        raise EvaluationInputError(
            f'{name}: the ground truth has no object, so nothing can be scored; check the files.'
        )
    objects, columns = ([1], [1]) if merge else (objects, sorted(proposals))
    columns = columns + [0] * (len(objects) - len(columns))  # 0: nothing was proposed
    scores = np.array(
        [
            _compare_all(truth[frame], labels, objects, columns, merge)
            for frame, labels in zip(scored, results, strict=True)
        ]
    )  # (n, K, P, 2)
    rows, chosen = linear_sum_assignment(scores.mean((0, 3)), maximize=True)
    best = scores[:, rows, chosen]  # (n, K, 2)
    return SequenceScores(name, tuple(objects), best[..., 0].T, best[..., 1].T)


def summarize(sequences: Sequence[SequenceScores]) -> Report:
    """Mean over all objects of all sequences (not over sequences), with tables per object and per
    sequence.
    """
    per_object, per_sequence = [], []
    for scores in sorted(sequences, key=lambda one: one.name):
        rows = [
            {'sequence': scores.name, 'object': i, 'frames': len(j), **measures(j, f)}
            for i, j, f in zip(scores.objects, scores.j, scores.f, strict=True)
        ]
        per_object += rows
        per_sequence.append({'sequence': scores.name, 'objects': len(rows), **_mean_of(rows)})
    notes = tuple(note for scores in sequences for note in scores.notes)
    return Report(
        _mean_of(per_object), {'per_sequence': per_sequence, 'per_object': per_object}, notes
    )


def measures(j: NDArray[np.float64], f: NDArray[np.float64]) -> dict[str, float]:
    """J, F and J&F (their average), each mean, recall and decay, of one object with n frames: (n,)
    each.
    """
    values: dict[str, float] = {}
    by_name = {'J': statistics(j), 'F': statistics(f)}
    for kind in ('mean', 'recall', 'decay'):
        pair = [getattr(by_name[name], kind) for name in 'JF']
        values |= {f'J&F_{kind}': sum(pair) / 2, f'J_{kind}': pair[0], f'F_{kind}': pair[1]}
    order = [f'{name}_{kind}' for name in ('J&F', 'J', 'F') for kind in ('mean', 'recall', 'decay')]
    return {name: values[name] for name in order}


def _mean_of(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    names = [name for name, value in rows[0].items() if name.startswith(('J', 'F'))]
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def _compare(prediction: Region, truth: Region) -> tuple[float, float]:
    return jaccard(prediction, truth), contour_accuracy(prediction, truth)


def _compare_all(
    wanted: Labels,
    labels: FrameLabels,
    objects: Sequence[int],
    columns: Sequence[int],
    merge: bool,
) -> list[list[tuple[float, float]]]:
    """J and F (K, P, 2) of one frame, without the void pixels; column 0 is an empty mask."""
    height, width = wanted.shape
    shape = height, width
    radius = contour_radius(height, width)
    void = void_pixels(wanted)
    if merge:
        wanted, labels = merged_truth(wanted), merged_result(labels, shape)
    truths = [region((wanted == i) & ~void, radius) for i in objects]
    proposals = [
        region(mask_of(labels, i, shape) & ~void if i else np.zeros_like(void), radius)
        for i in columns
    ]
    return [[_compare(proposal, truth) for proposal in proposals] for truth in truths]
