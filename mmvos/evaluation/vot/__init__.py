"""VOT 2016, 2018 and 2019: supervised runs, their files, and accuracy, robustness and EAO in two
conventions.
"""

from mmvos.lazy_imports import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        'benchmark': ['VOT'],
        'dataset': ['VOTDataset', 'VOTVideo'],
        'evaluate': ['evaluate_vot'],
        'intervals': ['INTERVALS', 'Interval', 'choose_interval'],
        'metric': ['VOTMetric'],
        'raster': ['overlap', 'toolkit_overlap'],
        'regions': ['box_of_polygon'],
        'scores': ['Run', 'measure', 'summarize'],
        'sequences': ['VOTSequence', 'read_results', 'read_sequences'],
        'supervised_run': [
            'SupervisedTracker',
            'run_sequences',
            'run_supervised',
            'write_trajectory',
        ],
        'toolkit_workspace': ['export_workspace'],
        'trajectories': ['Trajectory', 'read_trajectory', 'trajectory'],
    },
)
