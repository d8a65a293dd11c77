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
from tqdm import tqdm

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
        EvaluationInputError: input that cannot be scored, with the place of the defect.
    """
    truth = (
        ground_truth if isinstance(ground_truth, GroundTruth) else check_ground_truth(ground_truth)
    )
    tracks = results if isinstance(results, tuple) else check_results(results, truth)
    truths, detections = _group(truth.tracks), _group(tracks)
    matches: dict[int, list[Matches]] = defaultdict(list)
    for key in tqdm(
        sorted(truths.keys() | detections.keys()), 'matching tracks', delay=2, leave=False
    ):
        matches[key[1]].append(_match(detections[key][:MAX_DETECTIONS], truths[key]))
    return _summarize(matches, truth.categories)


def track_overlaps(detections: Sequence[Track], truths: Sequence[Track]) -> NDArray[np.float64]:
    """Intersection over union (D, G) of whole tracks of one video: pixels of all frames together, 0
    where both are empty.
    """
    shared = np.zeros((len(detections), len(truths)))
    for frame in range(len(truths[0].masks) if detections and truths else 0):
        d = [i for i, track in enumerate(detections) if track.areas[frame]]
        g = [i for i, track in enumerate(truths) if track.areas[frame]]
        if d and g:
            pair = [
                [tracks[i].masks[frame] for i in chosen]
                for tracks, chosen in ((detections, d), (truths, g))
            ]
            # "crowd" makes it intersection / area of the detection
            part = coco_mask.iou(*pair, [1] * len(g))
            area = np.array([[detections[i].areas[frame]] for i in d])
            shared[np.ix_(d, g)] += np.rint(part * area)
    area_d, area_g = (
        np.array([track.areas.sum() for track in tracks], float) for tracks in (detections, truths)
    )
    union = area_d[:, None] + area_g[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


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
    """Average over thresholds and the categories that have ground truth."""

    def over_categories(area: str, limit: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        index = list(AREA_RANGES).index(area)
        pairs = [average(matches[category], index, limit) for category in categories]
        # (classes, T) each
        return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])

    def mean(values: NDArray[np.float64]) -> float:
        return float(values[values > -1].mean()) if (values > -1).any() else -1.0

    precision, recall = over_categories('all', MAX_DETECTIONS)
    by_size = {size: over_categories(size, MAX_DETECTIONS) for size in 'sml'}
    at = {round(threshold, 2): precision[:, t] for t, threshold in enumerate(THRESHOLDS)}
    return YouTubeVISScores(
        AP=mean(precision),
        AP50=mean(at[0.5]),
        AP75=mean(at[0.75]),
        APs=mean(by_size['s'][0]),
        APm=mean(by_size['m'][0]),
        APl=mean(by_size['l'][0]),
        AR1=mean(over_categories('all', 1)[1]),
        AR10=mean(over_categories('all', 10)[1]),
        AR100=mean(recall),
        ARs=mean(by_size['s'][1]),
        ARm=mean(by_size['m'][1]),
        ARl=mean(by_size['l'][1]),
        per_class={
            name: mean(values) for name, values in zip(categories.values(), precision, strict=True)
        },
    )
