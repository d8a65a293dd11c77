"""YouTube-VOS scores by this project's local protocol (Xu et al., ECCV 2018; the server's code was
never published).

An object is given in its first annotated frame and scored in the later ones, the last included.
Letters: H, W frame; L annotated frames of a video; n scored frames of an object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmvos.io.errors import DataError
from mmvos.io.label_png import Labels

from ..j_and_f import contour_accuracy, contour_radius, jaccard, region
from ..label_files import FrameLabels, ids_in, marked_ids, mask_of
from ..report import Report

_PARTS_OF_G = ('J_seen', 'J_unseen', 'F_seen', 'F_unseen')


@dataclass(frozen=True)
class ObjectScores:
    """One object: means over its n >= 1 scored frames, fractions."""

    video: str
    object: int
    category: str
    frames: int
    j: float
    f: float


def score_video(
    name: str,
    truth: Sequence[Labels],
    results: Iterable[FrameLabels | None],
    places: Sequence[str],
    classes: dict[int, str],
) -> list[ObjectScores]:
    """Score the objects of one video; an object that is annotated in one frame only is not scored.

    Args:
        name: of the video.
        truth: (H, W) ids of the L annotated frames.
        results: the same frames; may be None where no object is scored.
        places: names of the results, for messages.
        classes: object id -> class.

    Raises:
        DataError: a result is missing or has an id that the ground truth does not have, or an
            object has no class.
    """
    values: dict[int, list[tuple[float, float]]] = {}  # J and F by object and scored frame
    places_of_ids: dict[int, str] = {}  # where an id occurs before it is given
    for true_labels, labels, place in zip(truth, results, places, strict=True):
        if values and labels is None:
            raise DataError(
                f'{place} is missing; write one PNG per annotated frame after the first.'
            )
        if labels is not None:
            for i in marked_ids(labels):
                if i not in values:
                    places_of_ids.setdefault(i, place)

            # the objects that were given in an earlier frame are scored in this one
            height, width = true_labels.shape
            radius = contour_radius(height, width)
            for i, pairs in values.items():
                predicted_region = region(mask_of(labels, i, (height, width)), radius)
                true_region = region(true_labels == i, radius)
                j = jaccard(predicted_region, true_region)
                f = contour_accuracy(predicted_region, true_region)
                pairs.append((j, f))
        for i in ids_in(true_labels):
            values.setdefault(i, [])

    _check_ids(name, places_of_ids, values.keys())
    _check_classes(name, classes, values.keys())
    scores = []
    for i, pairs in sorted(values.items()):
        if pairs:
            j, f = np.mean(pairs, axis=0).tolist()
            scores.append(ObjectScores(name, i, classes.get(i, ''), len(pairs), j, f))
    return scores


def _check_ids(name: str, places_of_ids: dict[int, str], known_ids: Collection[int]) -> None:
    """Refuse ids in the results that the ground truth never has."""
    for i, place in places_of_ids.items():
        if i not in known_ids:
            raise DataError(
                f'{place} has the id {i}, which the ground truth of {name} does not have (it has '
                f'{", ".join(map(str, sorted(known_ids)))}); keep the ids that were given.'
            )


def _check_classes(name: str, classes: dict[int, str], objects: Collection[int]) -> None:
    """Refuse classes that do not name every object."""
    unnamed = sorted(set(objects) - classes.keys())
    if unnamed and classes:
        raise DataError(
            f'meta.json gives no class for object {unnamed[0]} of video {name}; get the complete '
            'file.'
        )


def summarize(objects: Sequence[ObjectScores], seen: frozenset[str] | None) -> Report:
    """Average J and F over all objects, and over those of seen and of unseen classes.

    Args:
        objects: of all videos.
        seen: names of the classes seen in training; None where they are not known.

    Returns:
        With `seen` also G, the mean of J and F of seen and unseen classes.

    Raises:
        DataError: there is no object to score.
    """
    if not objects:
        raise DataError(
            'No object has a frame after its first one, so nothing can be scored; check the '
            'annotations.'
        )

    # Means over objects, in an order that no number of processes changes.
    objects = sorted(objects, key=lambda one: (one.video, one.object))
    notes = ['This is a local protocol: the server code of YouTube-VOS was never published.']
    j, f = _means(objects)
    metrics = {'J&F_mean': (j + f) / 2, 'J_mean': j, 'F_mean': f}
    if seen is None:
        notes.append(
            'No list of seen classes was given, so seen and unseen are not told apart and G is not '
            'defined.'
        )
    else:
        # G is the mean of the four, where all four are defined.
        by_class = _by_class(objects, seen, notes)
        metrics |= by_class
        if by_class.keys() == set(_PARTS_OF_G):
            g = sum(by_class[name] for name in _PARTS_OF_G) / len(_PARTS_OF_G)
            metrics = {'G': g} | metrics
    rows: list[dict[str, Any]] = [
        {
            'sequence': one.video,
            'object': one.object,
            'class': one.category,
            'frames': one.frames,
            'J_mean': one.j,
            'F_mean': one.f,
        }
        for one in objects
    ]
    return Report(metrics, {'per_object': rows}, tuple(notes))


def _by_class(
    objects: Sequence[ObjectScores], seen: frozenset[str], notes: list[str]
) -> dict[str, float]:
    """J and F of seen and of unseen classes; what is not defined is said in `notes`."""
    metrics: dict[str, float] = {}
    for name in ('seen', 'unseen'):
        wants_seen = name == 'seen'
        part = [one for one in objects if (one.category in seen) == wants_seen]
        if not part:
            notes.append(f'No object has a class that is {name}, so G is not defined.')
            continue
        j, f = _means(part)
        metrics[f'J_{name}'] = j
        metrics[f'F_{name}'] = f
    return metrics


def _means(objects: Sequence[ObjectScores]) -> tuple[float, float]:
    """Mean J and mean F."""
    j = float(np.mean([one.j for one in objects]))
    f = float(np.mean([one.f for one in objects]))
    return j, f
