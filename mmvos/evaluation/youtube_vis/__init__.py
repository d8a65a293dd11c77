"""YouTube-VIS, OVIS and own classes: AP and AR of object tracks, results files, and the metric."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.io.json_file import read_json
from mmvos.io.youtube_vis import Video, compress_masks, read_youtube_vis
from mmvos.lazy_imports import lazy_attributes

from ..report import Report
from .results_file import read_results, result_entries, write_results
from .scores import YouTubeVISScores, evaluate_youtube_vis, track_overlaps
from .tracks import (
    GroundTruth,
    Track,
    check_ground_truth,
    check_results,
    has_annotations,
)

if TYPE_CHECKING:
    from .metric import YouTubeVISMetric

__all__ = [
    'GroundTruth',
    'Track',
    'Video',
    'YouTubeVISMetric',
    'YouTubeVISScores',
    'check_ground_truth',
    'check_results',
    'compress_masks',
    'evaluate_youtube_vis',
    'evaluate_youtube_vis_files',
    'has_annotations',
    'read_json',
    'read_results',
    'result_entries',
    'track_overlaps',
    'write_results',
]

__getattr__ = lazy_attributes(__name__, {'metric': ['YouTubeVISMetric']})


def evaluate_youtube_vis_files(ground_truth: str | Path, results: str | Path) -> Report:
    """Score a results JSON or a submission zip.

    Returns:
        `metrics` AP, AP50, ... (fractions, -1: undefined) and the table per_class.
    Raises:
        EvaluationInputError: input that cannot be scored.
    """
    truth = check_ground_truth(read_youtube_vis(ground_truth), str(ground_truth))
    tracks = check_results(read_results(results), truth, str(results))
    scores = evaluate_youtube_vis(truth, tracks)
    annotated = {track.video_id for track in truth.tracks}
    silent = annotated - {track.video_id for track in tracks}
    undefined = [name for name, value in scores.per_class.items() if value == -1]
    notes = []
    if silent:
        notes.append(
            f'{len(silent)} of {len(annotated)} annotated videos have no prediction, the first is '
            f'video '
            f'{min(silent)}; their objects count as missed.'
        )
    crowds = sum(track.crowd for track in truth.tracks)
    if crowds:
        notes.append(
            f'{crowds} of {len(truth.tracks)} objects in the ground truth are crowds (iscrowd 1), '
            f'which are not scored; CVAT marks every brush mask so.'
        )
    if undefined:
        notes.append(
            f'{len(undefined)} classes have no object in the ground truth and do not count: '
            f'{", ".join(undefined)}.'
        )
    rows = [{'class': name, 'AP': value} for name, value in scores.per_class.items()]
    metrics = scores.metrics()
    without_value = frozenset(name for name, value in metrics.items() if value == -1)
    return Report(metrics, {'per_class': rows}, tuple(notes), without_value)
