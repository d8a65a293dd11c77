"""YouTube-VIS, OVIS and own classes: AP and AR of object tracks, results files, and the metric."""
from .metric import YouTubeVISMetric
from .results_file import read_json, read_results, result_entries, write_results
from .scores import YouTubeVISScores, evaluate_youtube_vis, track_overlaps
from .tracks import GroundTruth, Track, Video, check_ground_truth, check_masks, check_results, has_annotations

__all__ = [
    'GroundTruth', 'Track', 'Video', 'YouTubeVISMetric', 'YouTubeVISScores', 'check_ground_truth',
    'check_masks', 'check_results', 'evaluate_youtube_vis', 'has_annotations', 'read_json', 'read_results',
    'result_entries', 'track_overlaps', 'write_results'
]
