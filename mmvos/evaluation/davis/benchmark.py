"""DAVIS as a benchmark: its name, its options, and how its results are scored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..benchmark import Option
from ..label_map_benchmark import LabelMapBenchmark

if TYPE_CHECKING:
    from ..report import Report


class DAVIS(LabelMapBenchmark):
    """DAVIS-2016 and DAVIS-2017, semi-supervised and unsupervised."""

    name = 'davis'
    metric = 'DAVISMetric'
    measures = 'J and F'
    ground_truth = 'the root of DAVIS, or a folder with one folder of label PNGs per sequence'
    options = (
        Option('--year', '2016: all ids are one object', 2017, int, (2016, 2017)),
        Option(
            '--task',
            'whether the ids of the objects are given',
            'semi-supervised',
            choices=('semi-supervised', 'unsupervised'),
        ),
        Option(
            '--split',
            'name in ImageSets/, or a file with a sequence per line (default val)',
            'val',
        ),
        Option('--resolution', 'folder in Annotations/ (default 480p)', '480p'),
        Option(
            '--official',
            "also the official code's phantom objects at gaps in the ids",
            default=False,
            is_switch=True,
        ),
    )

    def score(
        self, ground_truth: Path, results: Path, options: Mapping[str, Any], processes: int
    ) -> Report:
        """Score a folder with one folder of label PNGs per sequence; see `evaluate_davis`."""
        from .evaluate import evaluate_davis
        from .sequences import Protocol

        protocol = Protocol(options['year'], options['task'], options['official'])
        split = options['split']
        resolution = options['resolution']
        return evaluate_davis(ground_truth, results, protocol, split, resolution, processes)

    def required_videos(self, ground_truth: Path, options: Mapping[str, Any]) -> Collection[str]:
        """Look at the label images of the split."""
        from .sequences import Protocol, check_ground_truth, find_ground_truth

        protocol = Protocol(options['year'], options['task'])
        folders = find_ground_truth(ground_truth, protocol, options['split'], options['resolution'])
        check_ground_truth(folders, protocol)
        return folders.keys()
