"""Scores of the benchmarks on anyone's data, without a server: functions on data, and metrics in
the registry. What needs mmengine is imported when somebody asks for it.
"""

from typing import TYPE_CHECKING

from mmvos.lazy_imports import lazy_attributes

from .input_error import EvaluationInputError
from .report import Report

if TYPE_CHECKING:
    from .davis import DAVISMetric, evaluate_davis
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

__getattr__ = lazy_attributes(
    __name__,
    {
        'davis': ['DAVISMetric', 'evaluate_davis'],
        'vot': ['VOTMetric', 'evaluate_vot'],
        'youtube_vis': [
            'YouTubeVISMetric',
            'YouTubeVISScores',
            'evaluate_youtube_vis',
            'evaluate_youtube_vis_files',
        ],
        'youtube_vos': ['YouTubeVOSMetric', 'evaluate_youtube_vos'],
    },
)
