"""Match object tracks by overlap in space and time and average precision over recall (YouTube-VIS,
Yang et al., ICCV 2019).

Pure arithmetic. Letters: D detections and G ground truths of one video and category, A area ranges,
T overlap thresholds, R recall points, N detections of one category in all videos. The rules are
those of the official evaluator, which are COCO's with the overlap of whole tracks; tests compare
with mmdet's `YTVISeval`, a corrected copy of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # (T,)
RECALLS = np.linspace(0.0, 1.0, 101)  # (R,)
MAX_DETECTIONS = 100  # per video and category
AREA_RANGES = {
    'all': (0.0, 1e10),
    's': (0.0, 128.0**2),
    'm': (128.0**2, 256.0**2),
    'l': (256.0**2, 1e10),
}  # inclusive


@dataclass(frozen=True)
class Matches:
    """What became of the detections (best first, at most 100) of one video and category.

    Attributes:
        scores: (D,) float.
        found: (A, T, D) bool, has a ground truth.
        ignored: (A, T, D) bool, neither right nor wrong.
        truths: (A,) int, ground truths that count.
    """

    scores: NDArray[np.float64]
    found: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    truths: NDArray[np.int64]


def match_tracks(
    scores: NDArray[np.float64],
    areas: NDArray[np.float64],
    overlaps: NDArray[np.float64],
    truth_areas: NDArray[np.float64],
    crowd: NDArray[np.bool_],
) -> Matches:
    """Give each detection, best first, the ground truth of highest overlap that is left.

    Args:
        scores: (D,), descending, D <= 100.
        areas: (D,) mean area in pixels.
        overlaps: (D, G) in [0, 1].
        truth_areas: (G,) mean area in pixels.
        crowd: (G,) bool, groups: ignored, and free to take several detections.
    """
    assert overlaps.shape == (len(scores), len(crowd)), overlaps.shape
    assert len(scores) <= MAX_DETECTIONS, len(scores)
    detections = len(scores)
    truths = len(crowd)

    # What lies outside an area range does not count there: (A, D) and (A, G).
    ranges = np.array(list(AREA_RANGES.values()))
    low = ranges[:, :1]  # (A, 1)
    high = ranges[:, 1:]
    outside = (areas < low) | (areas > high)
    truth_ignored = crowd | (truth_areas < low) | (truth_areas > high)

    shape = (len(AREA_RANGES), len(THRESHOLDS))
    found = np.zeros((*shape, detections), bool)  # (A, T, D)
    ignored = np.zeros((*shape, detections), bool)
    taken = np.zeros((*shape, truths), bool)  # (A, T, G)
    thresholds = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]  # (T, 1)
    for d in range(detections):
        if truths == 0:
            break

        # (A, T, G): ground truths that overlap enough and are left; those that count go first
        free = (overlaps[d] >= thresholds) & (~taken | crowd)
        counted = free & ~truth_ignored[:, None]
        candidates = np.where(counted.any(axis=-1, keepdims=True), counted, free)

        # (A, T): the one of highest overlap, of equal ones the last
        value = np.where(candidates, overlaps[d], -1.0)
        best = truths - 1 - value[..., ::-1].argmax(axis=-1)

        a, t = np.nonzero(candidates.any(axis=-1))
        g = best[a, t]
        taken[a, t, g] = True
        found[a, t, d] = True
        ignored[a, t, d] = truth_ignored[a, g]
    ignored |= ~found & outside[:, None]
    return Matches(scores, found, ignored, (~truth_ignored).sum(axis=1))


def average(
    matches: Sequence[Matches], area: int, limit: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average one category over all videos.

    Args:
        matches: one per video.
        area: index into AREA_RANGES.
        limit: detections that count per video.

    Returns:
        Average precision (T,) and highest recall (T,); -1 without ground truth.
    """
    undefined = np.full(len(THRESHOLDS), -1.0)
    truths = sum(int(match.truths[area]) for match in matches)
    if truths == 0:
        return undefined, undefined.copy()

    # (N,) and (T, N): the detections of all videos, best first
    scores = np.concatenate([match.scores[:limit] for match in matches])
    order = np.argsort(-scores, kind='stable')
    found = np.concatenate([match.found[area, :, :limit] for match in matches], axis=1)
    ignored = np.concatenate([match.ignored[area, :, :limit] for match in matches], axis=1)
    found = found[:, order]
    ignored = ignored[:, order]

    # (T, N): precision and recall after each detection
    right = np.cumsum(found & ~ignored, axis=1)
    wrong = np.cumsum(~found & ~ignored, axis=1)
    recall = right / truths
    precision = right / np.maximum(right + wrong, 1)

    # (T, N + 1): precision may only fall with recall, and is 0 where a recall is never reached
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    never_reached = np.zeros((len(THRESHOLDS), 1))
    padded = np.concatenate([envelope, never_reached], axis=1)

    # (T, R): precision at the recall points
    sampled = []
    for t in range(len(THRESHOLDS)):
        first_reached = np.searchsorted(recall[t], RECALLS, side='left')
        sampled.append(padded[t, first_reached])
    average_precision = np.mean(sampled, axis=1)
    if len(order) == 0:
        return average_precision, np.zeros(len(THRESHOLDS))
    return average_precision, recall[:, -1]
