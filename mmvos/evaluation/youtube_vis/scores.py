"""The scores of video instance segmentation: AP and AR over tracks, as the official YouTube-VIS
evaluator defines them.

Letters: D detections, G ground truths of one video and category; L frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mmvos.io.progress_bar import with_bar

from .average_precision import (
    AREA_RANGES,
    MAX_DETECTIONS,
    THRESHOLDS,
    Matches,
    average,
    match_tracks,
)
from .tracks import GroundTruth, Track, check_ground_truth, check_results


@dataclass(frozen=True)
class YouTubeVISScores:
    """Fractions in [0, 1]; -1 where no ground truth defines the value. `per_class`: category name
    -> AP.
    """

    AP: float
    AP50: float
    AP75: float
    APs: float
    APm: float
    APl: float
    AR1: float
    AR10: float
    AR100: float
    ARs: float
    ARm: float
    ARl: float
    per_class: dict[str, float]

    def metrics(self) -> dict[str, float]:
        """The twelve summary values by name, in the official order."""
        return {name: value for name, value in asdict(self).items() if name != 'per_class'}


def evaluate_youtube_vis(
    ground_truth: dict[str, Any] | GroundTruth, results: list[dict[str, Any]] | Sequence[Track]
) -> YouTubeVISScores:
    """Score a results list against annotations in YouTube-VIS format (2019, 2021, OVIS, own
    classes).

    Args:
        ground_truth: the parsed annotation file, or what `check_ground_truth` made of it; not
            changed.
        results: entries {video_id, category_id, score, segmentations: L x (RLE | None)}, or what
            `check_results` made of it.
    Raises:
        DataError: input that cannot be scored, with the place of the defect.
    """
    truth = ground_truth
    if not isinstance(truth, GroundTruth):
        truth = check_ground_truth(truth)
    tracks = results
    if not isinstance(tracks, tuple):
        tracks = check_results(tracks, truth)

    # the tracks of one video and category compete with each other
    truths = _group(truth.tracks)
    detections = _group(tracks)
    keys = sorted(truths.keys() | detections.keys())
    matches: dict[int, list[Matches]] = defaultdict(list)
    for key in with_bar(keys, 'matching tracks'):
        _, category = key
        best = detections[key][:MAX_DETECTIONS]
        matches[category].append(_match(best, truths[key]))
    return _summarize(matches, truth.categories)


def track_overlaps(detections: Sequence[Track], truths: Sequence[Track]) -> NDArray[np.float64]:
    """Compute the intersection over union of whole tracks of one video.

    Args:
        detections: D tracks.
        truths: G tracks.

    Returns:
        (D, G): pixels of all frames together, 0 where both are empty.
    """
    shared = np.zeros((len(detections), len(truths)))
    length = len(truths[0].masks) if detections and truths else 0
    for frame in range(length):
        # only tracks that have pixels in the frame
        seen_detections = [i for i, track in enumerate(detections) if track.areas[frame]]
        seen_truths = [i for i, track in enumerate(truths) if track.areas[frame]]
        if not seen_detections or not seen_truths:
            continue
        detection_masks = [detections[i].masks[frame] for i in seen_detections]
        truth_masks = [truths[i].masks[frame] for i in seen_truths]
        # "crowd" makes pycocotools divide the intersection by the area of the detection
        is_crowd = [1] * len(seen_truths)
        covered = coco_mask.iou(detection_masks, truth_masks, is_crowd)
        areas = np.array([detections[i].areas[frame] for i in seen_detections])
        places = np.ix_(seen_detections, seen_truths)
        shared[places] += np.rint(covered * areas[:, None])

    # (D, G): the pixels of both tracks, shared ones counted once
    detection_areas = np.array([track.areas.sum() for track in detections], float)
    truth_areas = np.array([track.areas.sum() for track in truths], float)
    union = detection_areas[:, None] + truth_areas[None, :] - shared
    overlaps = np.zeros_like(shared)
    return np.divide(shared, union, out=overlaps, where=union > 0)


def _group(tracks: Sequence[Track]) -> dict[tuple[int, int], list[Track]]:
    groups: dict[tuple[int, int], list[Track]] = defaultdict(list)
    for track in tracks:
        groups[track.video_id, track.category_id].append(track)
    return groups


def _match(detections: list[Track], truths: list[Track]) -> Matches:
    return match_tracks(
        scores=np.array([track.score for track in detections], float),
        areas=np.array([track.mean_area for track in detections], float),
        overlaps=track_overlaps(detections, truths),
        truth_areas=np.array([track.mean_area for track in truths], float),
        crowd=np.array([track.crowd for track in truths], bool),
    )


def _summarize(matches: dict[int, list[Matches]], categories: dict[int, str]) -> YouTubeVISScores:
    """Average over thresholds and the categories that have ground truth.

    Args:
        matches: of all videos, by category.
        categories: id -> name.
    """
    per_category = [matches[category] for category in categories]
    # (classes, T): all sizes, then small, medium and large objects.
    precision, recall = _over_categories(per_category, 'all', MAX_DETECTIONS)  # (classes, T)
    small_precision, small_recall = _over_categories(per_category, 's', MAX_DETECTIONS)
    medium_precision, medium_recall = _over_categories(per_category, 'm', MAX_DETECTIONS)
    large_precision, large_recall = _over_categories(per_category, 'l', MAX_DETECTIONS)
    _, recall_of_1 = _over_categories(per_category, 'all', 1)
    _, recall_of_10 = _over_categories(per_category, 'all', 10)

    # By threshold, and by class.
    precision_at = {round(threshold, 2): precision[:, t] for t, threshold in enumerate(THRESHOLDS)}
    per_class = {
        name: _mean(values) for name, values in zip(categories.values(), precision, strict=True)
    }
    return YouTubeVISScores(
        AP=_mean(precision),
        AP50=_mean(precision_at[0.5]),
        AP75=_mean(precision_at[0.75]),
        APs=_mean(small_precision),
        APm=_mean(medium_precision),
        APl=_mean(large_precision),
        AR1=_mean(recall_of_1),
        AR10=_mean(recall_of_10),
        AR100=_mean(recall),
        ARs=_mean(small_recall),
        ARm=_mean(medium_recall),
        ARl=_mean(large_recall),
        per_class=per_class,
    )


def _over_categories(
    per_category: Sequence[Sequence[Matches]], area: str, limit: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average precision and recall, (classes, T) each; see `average`."""
    index = list(AREA_RANGES).index(area)
    precisions = []
    recalls = []
    for matches in per_category:
        precision, recall = average(matches, index, limit)
        precisions.append(precision)
        recalls.append(recall)
    return np.array(precisions), np.array(recalls)


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of the values that are defined; -1 without one."""
    defined = values > -1
    if not defined.any():
        return -1.0
    return float(values[defined].mean())
