"""YouTube-VOS by a local protocol: J and F for seen and unseen classes and their mean G."""

from mmvos.lazy_imports import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        'benchmark': ['YouTubeVOS'],
        'classes': ['read_classes', 'read_seen'],
        'evaluate': ['evaluate_youtube_vos', 'score_files'],
        'metric': ['YouTubeVOSMetric'],
        'scores': ['ObjectScores', 'score_video', 'summarize'],
        'sequences': ['check_ground_truth', 'find_ground_truth'],
    },
)
