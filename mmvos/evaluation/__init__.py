"""Scores of the benchmarks on anyone's data, without a server: plain functions on data, and metrics in the
registry.
"""
from .input_error import EvaluationInputError
from .youtube_vis import YouTubeVISMetric, YouTubeVISScores, evaluate_youtube_vis

__all__ = ['EvaluationInputError', 'YouTubeVISMetric', 'YouTubeVISScores', 'evaluate_youtube_vis']
