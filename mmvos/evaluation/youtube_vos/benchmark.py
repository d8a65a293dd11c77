"""YouTube-VOS as a benchmark: its name, its options, and how its results are scored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..benchmark import Option
from ..label_map_benchmark import LabelMapBenchmark

if TYPE_CHECKING:
    from ..report import Report


class YouTubeVOS(LabelMapBenchmark):
    """YouTube-VOS by a local protocol; the server's code was never published."""

    name = 'youtube-vos'
    metric = 'YouTubeVOSMetric'
    measures = 'J and F'
    ground_truth = 'folder with Annotations/VIDEO/*.png and meta.json'
    folder_in_zip = 'Annotations/'
    options = (
        Option(
            '--seen',
            "classes seen in training: one per line, or the training set's meta.json",
            kind=Path,
            metavar='FILE',
        ),
    )

    def score(
        self, ground_truth: Path, results: Path, options: Mapping[str, Any], processes: int
    ) -> Report:
        """Score a folder with one folder of label PNGs per video; see `evaluate_youtube_vos`."""
        from .evaluate import evaluate_youtube_vos

        return evaluate_youtube_vos(ground_truth, results, options['seen'], processes)

    def required_videos(self, ground_truth: Path, options: Mapping[str, Any]) -> Collection[str]:
        """Look at the label images of the annotated frames."""
        from .sequences import check_ground_truth, find_ground_truth

        folders = find_ground_truth(ground_truth)
        check_ground_truth(folders)
        return folders.keys()
