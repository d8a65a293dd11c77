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

from mmvos.io.errors import DataError
from mmvos.io.label_png import VOID, Labels, read_label_size, void_pixels

from ..j_and_f import Region, contour_accuracy, contour_radius, jaccard, region, statistics
from ..label_files import (
    FrameLabels,
    LabelImages,
    ResultImages,
    has_void,
    ids_in,
    marked_ids,
    mask_of,
    merged_result,
    merged_truth,
)
from ..report import Report
from .sequences import Protocol, SequenceFiles, no_object_message

MOST_PROPOSALS = 20
_NO_PROPOSAL = 0
_NAMES = ('J&F', 'J', 'F')
_KINDS = ('mean', 'recall', 'decay')


@dataclass(frozen=True)
class SequenceScores:
    """Scores of one sequence.

    Attributes:
        name: of the sequence.
        objects: K ids of the ground truth.
        j: (K, n) per scored frame.
        f: (K, n) per scored frame.
        notes: what was not scored.
    """

    name: str
    objects: tuple[int, ...]
    j: NDArray[np.float64]
    f: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def score_files(files: SequenceFiles, protocol: Protocol) -> SequenceScores:
    """Score one sequence from its files, one frame in memory at a time.

    Args:
        files: of ground truth and results.
        protocol: of the evaluation.

    Raises:
        DataError: a file cannot be read or is of another size.
    """
    shape = read_label_size(files.truth[0])
    truth = LabelImages(files.truth, shape)
    results = ResultImages(files.results, shape)
    places = [str(path) for path in files.results]
    return score_sequence(
        files.name,
        truth,
        results,
        files.scored,
        places,
        protocol,
    )


def score_sequence(
    name: str,
    truth: Sequence[Labels],
    results: Sequence[FrameLabels],
    scored: Sequence[int],
    places: Sequence[str],
    protocol: Protocol,
) -> SequenceScores:
    """Score one sequence as its protocol says; arguments as of `score_objects`."""
    score = score_proposals if protocol.unsupervised else score_objects
    return score(name, truth, results, scored, places, protocol)


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
        name: of the sequence.
        truth: (H, W) labels of all frames.
        results: labels of the n frames that count.
        scored: positions of those.
        places: names of the results, for messages.
        protocol: of the evaluation.

    Raises:
        DataError: the first frame shows no object, or a result one that the ground truth does not
            have.
    """
    merge = protocol.year == 2016
    first = truth[0]
    if merge:
        first = merged_truth(first)
    given = ids_in(first)
    if not given:
        raise DataError(no_object_message(name))
    objects = given
    if protocol.official:
        # the official code counts up to the highest id, gaps included
        objects = list(range(1, max(given) + 1))

    height, width = first.shape
    shape = (height, width)
    radius = contour_radius(height, width)
    known_ids = set(objects)
    places_of_ids: dict[int, str] = {}  # where an id of the results occurs first
    scores = []
    for frame, labels, place in zip(scored, results, places, strict=True):
        true_labels = truth[frame]
        if merge:
            true_labels = merged_truth(true_labels)
            labels = merged_result(labels, shape)
        if not protocol.official:
            known_ids.update(ids_in(true_labels))
        for i in marked_ids(labels):
            places_of_ids.setdefault(i, place)

        # J and F of each object in this frame
        values = []
        for i in objects:
            predicted_region = region(mask_of(labels, i, shape), radius)
            true_region = region(true_labels == i, radius)
            values.append(_compare(predicted_region, true_region))
        scores.append(values)

    unknown_ids = sorted(places_of_ids.keys() - known_ids)
    if unknown_ids:
        unknown = unknown_ids[0]
        raise DataError(
            f'{places_of_ids[unknown]} has the id {unknown}, which the ground truth of {name} does '
            f'not have (it has {", ".join(map(str, sorted(known_ids)))}); write the ids of the '
            'first frame.'
        )
    j, f = np.array(scores).transpose(2, 1, 0)  # (n, K, 2) -> (K, n) each
    return SequenceScores(name, tuple(objects), j, f, _late_notes(name, known_ids - set(objects)))


def _late_notes(name: str, late: set[int]) -> tuple[str, ...]:
    """Say which objects start after the first frame."""
    if not late:
        return ()
    return (
        f'{name}: the objects {sorted(late)} are not in the first frame and were not scored (the '
        'DAVIS convention); the youtube-vos protocol scores them.',
    )


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

    Raises:
        DataError: the ground truth has no object, or the results have too many or void ones.
    """
    merge = protocol.year == 2016
    proposals: set[int] = set()
    for labels, place in zip(results, places, strict=True):
        proposals.update(ids_in(labels))
        if not merge and has_void(labels):
            raise DataError(
                f'{place} has the id {VOID}, which marks void pixels; proposals have the ids 1 to '
                '254.'
            )
    if len(proposals) > MOST_PROPOSALS and not merge:
        raise DataError(
            f'{name}: {len(proposals)} proposals; at most {MOST_PROPOSALS} are allowed.'
        )

    objects = _objects_of(truth, scored, protocol)
    if not objects:
        raise DataError(
            f'{name}: the ground truth has no object, so nothing can be scored; check the files.'
        )
    columns = sorted(proposals)
    if merge:
        objects = [1]
        columns = [1]

    # as many proposals as objects at least
    columns += [_NO_PROPOSAL] * (len(objects) - len(columns))

    # (n, K, P, 2): J and F of every object with every proposal
    scores = np.array(
        [
            _compare_all(truth[frame], labels, objects, columns, merge)
            for frame, labels in zip(scored, results, strict=True)
        ]
    )

    # (K, P): the assignment of highest mean over frames and both measures
    from scipy.optimize import linear_sum_assignment  # only this protocol needs scipy

    rows, chosen = linear_sum_assignment(scores.mean(axis=(0, 3)), maximize=True)
    best = scores[:, rows, chosen]  # (n, K, 2)
    return SequenceScores(name, tuple(objects), best[..., 0].T, best[..., 1].T)


def _objects_of(truth: Sequence[Labels], scored: Sequence[int], protocol: Protocol) -> list[int]:
    """The objects of an unsupervised evaluation: of all frames, or, as the official code has it, up
    to the highest id of the first one.
    """
    if protocol.official:
        return list(range(1, max(ids_in(truth[0]), default=0) + 1))
    objects: set[int] = set()
    for frame in scored:
        objects.update(ids_in(truth[frame]))
    return sorted(objects)


def summarize(sequences: Sequence[SequenceScores]) -> Report:
    """Average over all objects of all sequences (not over sequences).

    Args:
        sequences: with their scores.

    Returns:
        The means, with tables per object and per sequence.
    """
    per_object: list[dict[str, Any]] = []
    per_sequence: list[dict[str, Any]] = []
    for scores in sorted(sequences, key=lambda one: one.name):
        rows: list[dict[str, Any]] = []
        for object_id, j, f in zip(scores.objects, scores.j, scores.f, strict=True):
            row = {'sequence': scores.name, 'object': object_id, 'frames': len(j)}
            row.update(measures(j, f))
            rows.append(row)
        # Each object counts once, however many its sequence has.
        per_object += rows
        summary = {'sequence': scores.name, 'objects': len(rows)}
        summary.update(_mean_of(rows))
        per_sequence.append(summary)

    notes: list[str] = []
    for scores in sequences:
        notes += scores.notes
    tables = {'per_sequence': per_sequence, 'per_object': per_object}
    return Report(_mean_of(per_object), tables, tuple(notes))


def measures(j: NDArray[np.float64], f: NDArray[np.float64]) -> dict[str, float]:
    """Give J&F (the average), J and F, each mean, recall and decay, of one object.

    Args:
        j: (n,) per scored frame.
        f: (n,) per scored frame.

    Returns:
        By name, as 'J_mean'.
    """
    of_j = statistics(j)
    of_f = statistics(f)
    joint: dict[str, float] = {}
    j_values: dict[str, float] = {}
    f_values: dict[str, float] = {}
    for kind in _KINDS:
        j_value = getattr(of_j, kind)
        f_value = getattr(of_f, kind)
        joint[f'J&F_{kind}'] = (j_value + f_value) / 2
        j_values[f'J_{kind}'] = j_value
        f_values[f'F_{kind}'] = f_value
    # The order of the tables' columns.
    return joint | j_values | f_values


def _mean_of(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means of all measures over rows of objects."""
    names = [name for name in rows[0] if name.startswith(('J', 'F'))]
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def _compare(prediction: Region, truth: Region) -> tuple[float, float]:
    return jaccard(prediction, truth), contour_accuracy(prediction, truth)


def _compare_all(
    true_labels: Labels,
    labels: FrameLabels,
    objects: Sequence[int],
    columns: Sequence[int],
    merge: bool,
) -> list[list[tuple[float, float]]]:
    """J and F of every object with every proposal in one frame, without the void pixels.

    Args:
        true_labels: (H, W) of the frame.
        labels: the result.
        objects: K ids of the ground truth.
        columns: P ids of proposals, or `_NO_PROPOSAL`.
        merge: all ids are one object (DAVIS-2016).

    Returns:
        (K, P, 2).
    """
    height, width = true_labels.shape
    shape = (height, width)
    radius = contour_radius(height, width)
    void = void_pixels(true_labels)
    if merge:
        true_labels = merged_truth(true_labels)
        labels = merged_result(labels, shape)

    # The mask of each proposal; where there is none an empty one.
    proposals = []
    for i in columns:
        mask = np.zeros_like(void)
        if i != _NO_PROPOSAL:
            mask = mask_of(labels, i, shape) & ~void
        proposals.append(region(mask, radius))

    # (K, P, 2)
    scores = []
    for i in objects:
        true_region = region((true_labels == i) & ~void, radius)
        scores.append([_compare(proposal, true_region) for proposal in proposals])
    return scores
