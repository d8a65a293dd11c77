"""YouTube-VIS, OVIS and own classes: AP and AR of object tracks, results files, and the metric."""

from mmvos.io.json_file import read_json
from mmvos.lazy_imports import lazy_attributes

__all__ = ['read_json']

__getattr__ = lazy_attributes(
    __name__,
    {
        'benchmark': ['YouTubeVIS'],
        'evaluate': ['evaluate_youtube_vis_files'],
        'metric': ['YouTubeVISMetric'],
        'results_file': ['read_results', 'result_entries', 'write_results'],
        'scores': ['YouTubeVISScores', 'evaluate_youtube_vis', 'track_overlaps'],
        'tracks': [
            'GroundTruth',
            'Track',
            'Video',
            'check_ground_truth',
            'check_results',
            'compress_masks',
            'has_annotations',
        ],
    },
)
