"""The metric that a validation loop calls: the local YouTube-VOS scores of label maps, video by
video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric

from mmvos.io.label_png import read_label_size
from mmvos.registry import METRICS

from ..input_error import EvaluationInputError
from ..label_files import LabelImages, list_frames
from .classes import read_classes, read_seen
from .scores import score_video, summarize
from .sequences import check_ground_truth, find_ground_truth


@METRICS.register_module()
class YouTubeVOSMetric(BaseMetric):
    """G, and J and F of seen and unseen classes; without `seen` J and F of all.

    Args:
        ground_truth: folder with Annotations/VIDEO/FRAME.png and, for `seen`, meta.json.
        seen: file that names the seen classes (text, or the training set's meta.json).
        collect_device, prefix: see mmengine's `BaseMetric`.
    """

    default_prefix = 'youtube_vos'

    def __init__(
        self,
        ground_truth: str,
        seen: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.folders = find_ground_truth(Path(ground_truth))
        check_ground_truth(self.folders)
        self.seen = None if seen is None else read_seen(Path(seen))
        self.classes = {} if seen is None else read_classes(Path(ground_truth) / 'meta.json')

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Score finished videos: {'sequence': str, 'frames': list of L file stems, 'labels': (L, H,
        W) uint8 ids}.
        """
        for sample in data_samples:
            name = sample['sequence']
            if name not in self.folders:
                raise EvaluationInputError(
                    f'The video {name} has no ground truth; choose the split.'
                )
            frames = list_frames(self.folders[name])
            given = dict(zip(sample['frames'], sample['labels'], strict=True))
            paths = list(frames.values())
            truth = LabelImages(paths, read_label_size(paths[0]))
            places = [f'the result of {path}' for path in paths]
            results = [given.get(stem) for stem in frames]
            self.results.append(
                (name, score_video(name, truth, results, places, self.classes.get(name, {})))
            )

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Summary values by name; refuses to score a part of the videos."""
        by_name = dict(results)
        missing = sorted(self.folders.keys() - by_name.keys())
        if missing:
            raise EvaluationInputError(
                f'{len(missing)} videos have no result, the first is {missing[0]}.'
            )
        return summarize([one for scores in by_name.values() for one in scores], self.seen).metrics
