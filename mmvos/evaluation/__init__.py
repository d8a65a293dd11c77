"""Scores of the benchmarks on anyone's data, without a server: functions on data, and metrics in
the registry.
"""

from .davis import DAVISMetric, evaluate_davis
from .input_error import EvaluationInputError
from .report import Report
from .vot import VOTMetric, evaluate_vot
from .youtube_vis import (
    YouTubeVISMetric,
    YouTubeVISScores,
    evaluate_youtube_vis,
    evaluate_youtube_vis_files,
)
from .youtube_vos import YouTubeVOSMetric, evaluate_youtube_vos

__all__ = [
    'DAVISMetric',
    'EvaluationInputError',
    'Report',
    'VOTMetric',
    'YouTubeVISMetric',
    'YouTubeVISScores',
    'YouTubeVOSMetric',
    'evaluate_davis',
    'evaluate_vot',
    'evaluate_youtube_vis',
    'evaluate_youtube_vis_files',
    'evaluate_youtube_vos',
]
