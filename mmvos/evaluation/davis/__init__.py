"""DAVIS-2016 and DAVIS-2017, semi-supervised and unsupervised: J, F and J&F over objects."""

from mmvos.lazy_imports import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        'benchmark': ['DAVIS'],
        'evaluate': ['evaluate_davis'],
        'metric': ['DAVISMetric'],
        'scores': [
            'SequenceScores',
            'score_files',
            'score_objects',
            'score_proposals',
            'summarize',
        ],
        'sequences': [
            'Protocol',
            'SequenceFiles',
            'check_ground_truth',
            'find_ground_truth',
            'find_sequences',
        ],
    },
)
