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

    `scores` (D,) float; `found` (A, T, D) bool: has a ground truth; `ignored` (A, T, D) bool:
    neither right nor wrong; `truths` (A,) int: ground truths that count.
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
        scores: (D,), descending, D <= 100. areas: (D,) mean area in pixels. overlaps: (D, G) in [0,
            1].
        truth_areas: (G,) mean area in pixels. crowd: (G,) groups: ignored, and free to take several
            detections.
    """
    assert overlaps.shape == (len(scores), len(crowd)) and len(scores) <= MAX_DETECTIONS
    low, high = np.array(list(AREA_RANGES.values())).T[:, :, None]  # (A, 1) each
    outside = (areas < low) | (areas > high)  # (A, D)
    truth_ignored = crowd | (truth_areas < low) | (truth_areas > high)  # (A, G)
    shape = (len(AREA_RANGES), len(THRESHOLDS), len(scores))
    found, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    taken = np.zeros(shape[:2] + (len(crowd),), bool)  # (A, T, G)
    thresholds = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]  # (T, 1)
    for d in range(len(scores) if len(crowd) else 0):
        free = (overlaps[d] >= thresholds) & (~taken | crowd)  # (A, T, G)
        counted = free & ~truth_ignored[:, None]
        wanted = np.where(counted.any(-1, keepdims=True), counted, free)
        value = np.where(wanted, overlaps[d], -1.0)[..., ::-1]
        best = len(crowd) - 1 - value.argmax(-1)  # (A, T); of equal overlaps the last
        a, t = np.nonzero(wanted.any(-1))
        taken[a, t, best[a, t]] = True
        found[a, t, d] = True
        ignored[a, t, d] = truth_ignored[a, best[a, t]]
    ignored |= ~found & outside[:, None]
    return Matches(scores, found, ignored, (~truth_ignored).sum(1))


def average(
    matches: Sequence[Matches], area: int, limit: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average precision (T,) and highest recall (T,) of one category over all videos; -1 without
    ground truth.

    Args:
        matches: one per video. area: index into AREA_RANGES. limit: detections that count per
            video.
    """
    truths = sum(int(match.truths[area]) for match in matches)
    if truths == 0:
        return np.full(len(THRESHOLDS), -1.0), np.full(len(THRESHOLDS), -1.0)
    scores = np.concatenate([match.scores[:limit] for match in matches])
    order = np.argsort(-scores, kind='stable')  # (N,)
    # (T, N)
    found = np.concatenate([match.found[area, :, :limit] for match in matches], axis=1)[:, order]
    ignored = np.concatenate([match.ignored[area, :, :limit] for match in matches], axis=1)[
        :, order
    ]
    right = np.cumsum(found & ~ignored, axis=1)
    wrong = np.cumsum(~found & ~ignored, axis=1)
    recall = right / truths
    precision = right / np.maximum(right + wrong, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate(
        [envelope, np.zeros((len(THRESHOLDS), 1))], axis=1
    )  # recall never reached: precision 0
    sampled = [
        padded[t, np.searchsorted(recall[t], RECALLS, 'left')] for t in range(len(THRESHOLDS))
    ]
    return np.mean(sampled, axis=1), recall[:, -1] if len(order) else np.zeros(len(THRESHOLDS))
