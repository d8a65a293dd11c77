"""The YouTube-VIS scores of a results file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmvos.io.youtube_vis import read_youtube_vis

from ..report import Report
from .results_file import read_results
from .scores import YouTubeVISScores, evaluate_youtube_vis
from .tracks import GroundTruth, Track, check_ground_truth, check_results


def evaluate_youtube_vis_files(ground_truth: str | Path, results: str | Path) -> Report:
    """Score a results JSON or a submission zip.

    Args:
        ground_truth: the annotation file.
        results: the file with results.

    Returns:
        `metrics` AP, AP50, ... (fractions, -1: undefined) and the table per_class.

    Raises:
        DataError: input that cannot be scored.
    """
    truth_data = read_youtube_vis(ground_truth)
    truth = check_ground_truth(truth_data, str(ground_truth))
    results_data = read_results(results)
    tracks = check_results(results_data, truth, str(results))

    scores = evaluate_youtube_vis(truth, tracks)
    metrics = scores.metrics()
    without_value = frozenset(name for name, value in metrics.items() if value == -1)
    rows = []
    for name, value in scores.per_class.items():
        rows.append({'class': name, 'AP': value})
    notes = _notes(truth, tracks, scores)
    return Report(metrics, {'per_class': rows}, tuple(notes), without_value)


def _notes(truth: GroundTruth, tracks: Sequence[Track], scores: YouTubeVISScores) -> list[str]:
    """Say what a reader of the scores must know: silent videos, crowds, classes without objects."""
    notes = []

    # Videos without a prediction.
    annotated = {track.video_id for track in truth.tracks}
    silent = annotated - {track.video_id for track in tracks}
    if silent:
        notes.append(
            f'{len(silent)} of {len(annotated)} annotated videos have no prediction, the first is '
            f'video {min(silent)}; their objects count as missed.'
        )

    # Groups, which are not scored.
    crowds = sum(track.crowd for track in truth.tracks)
    if crowds:
        notes.append(
            f'{crowds} of {len(truth.tracks)} objects in the ground truth are crowds (iscrowd 1), '
            'which are not scored; CVAT marks every brush mask so.'
        )

    # Classes without an object.
    undefined = [name for name, value in scores.per_class.items() if value == -1]
    if undefined:
        notes.append(
            f'{len(undefined)} classes have no object in the ground truth and do not count: '
            f'{", ".join(undefined)}.'
        )
    return notes
