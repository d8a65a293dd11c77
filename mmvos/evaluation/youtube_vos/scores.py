"""YouTube-VOS scores by this project's local protocol (Xu et al., ECCV 2018; the server's code was
never published).

An object is given in its first annotated frame and scored in the later ones, the last included.
Letters: H, W frame; L annotated frames of a video; n scored frames of an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmvos.io.label_png import VOID, Labels

from ..input_error import EvaluationInputError
from ..j_and_f import contour_accuracy, contour_radius, jaccard, region
from ..label_files import FrameLabels, has_void, ids_in, mask_of
from ..report import Report


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
        truth: (H, W) ids of the L annotated frames. results: the same frames; may be None where no
            object is scored.
        places: names of the results, for messages. classes: object id -> class.
    """
    values: dict[int, list[tuple[float, float]]] = {}
    strangers: dict[int, str] = {}
    for wanted, labels, place in zip(truth, results, places, strict=True):
        if values and labels is None:
            raise EvaluationInputError(
                f'{place} is missing; write one PNG per annotated frame after the first.'
            )
        if labels is not None:
            given = ids_in(labels)
            if has_void(labels):
                given.append(VOID)
            strangers |= {i: place for i in given if i not in values.keys() | strangers.keys()}
            height, width = wanted.shape
            radius = contour_radius(height, width)
            for i, pairs in values.items():
                prediction = region(mask_of(labels, i, (height, width)), radius)
                truth_region = region(wanted == i, radius)
                accuracy = contour_accuracy(prediction, truth_region)
                pairs.append((jaccard(prediction, truth_region), accuracy))
        for i in ids_in(wanted):
            values.setdefault(i, [])
    for i, place in strangers.items():
        if i not in values:
            raise EvaluationInputError(
                f'{place} has the id {i}, which the ground truth of {name} does not have (it has '
                f'{", ".join(map(str, sorted(values)))}); keep the ids that were given.'
            )
    unnamed = sorted(values.keys() - classes.keys())
    if unnamed and classes:
        raise EvaluationInputError(
            f'meta.json gives no class for object {unnamed[0]} of video {name}; get the complete '
            f'file.'
        )
    return [
        ObjectScores(name, i, classes.get(i, ''), len(pairs), *np.mean(pairs, axis=0).tolist())
        for i, pairs in sorted(values.items())
        if pairs
    ]


def summarize(objects: Sequence[ObjectScores], seen: frozenset[str] | None) -> Report:
    """J and F over all objects; with `seen` also per seen and unseen class, and G, the mean of
    those four.
    """
    if not objects:
        raise EvaluationInputError(
            'No object has a frame after its first one, so nothing can be scored; check the '
            'annotations.'
        )
    objects = sorted(objects, key=lambda one: (one.video, one.object))
    metrics, notes = (
        _means(objects, ''),
        ['This is a local protocol: the server code of YouTube-VOS was never published.'],
    )
    if seen is None:
        notes.append(
            'No list of seen classes was given, so seen and unseen are not told apart and G is not '
            'defined.'
        )
    else:
        parts = {
            'seen': [one for one in objects if one.category in seen],
            'unseen': [one for one in objects if one.category not in seen],
        }
        for name, part in parts.items():
            if part:
                metrics |= {
                    key: value for key, value in _means(part, f'_{name}').items() if '&' not in key
                }
            else:
                notes.append(f'No object has a class that is {name}, so G is not defined.')
        if all(parts.values()):
            metrics = {
                'G': sum(metrics[f'{key}_{name}'] for key in 'JF' for name in parts) / 4
            } | metrics
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


def _means(objects: Sequence[ObjectScores], suffix: str) -> dict[str, float]:
    j, f = (float(np.mean([getattr(one, key) for one in objects])) for key in 'jf')
    if suffix:
        return {f'J{suffix}': j, f'F{suffix}': f}
    return {'J&F_mean': (j + f) / 2, 'J_mean': j, 'F_mean': f}
