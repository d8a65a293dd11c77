"""The metric that a validation loop calls: the local YouTube-VOS scores of label maps, video by
video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric

from mmvos.io.errors import DataError
from mmvos.io.label_png import read_label_size
from mmvos.registry import METRICS

from ..label_files import LabelImages, check_complete, list_frames
from .classes import Classes, read_classes, read_seen
from .scores import ObjectScores, score_video, summarize
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
        self.seen: frozenset[str] | None = None
        self.classes: Classes = {}
        if seen is not None:
            self.seen = read_seen(Path(seen))
            self.classes = read_classes(Path(ground_truth) / 'meta.json')

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Score finished videos.

        Args:
            data_batch: not looked at.
            data_samples: {'sequence': str, 'frames': list of L file stems, 'labels': (L, H, W)
                uint8 ids}.

        Raises:
            DataError: a video has no ground truth, or its results do not fit.
        """
        for sample in data_samples:
            name = sample['sequence']
            if name not in self.folders:
                raise DataError(f'The video {name} has no ground truth; choose the split.')
            frames = list_frames(self.folders[name])
            paths = list(frames.values())
            shape = read_label_size(paths[0])
            truth = LabelImages(paths, shape)

            # The result of each annotated frame, None where there is none.
            labels_of = dict(zip(sample['frames'], sample['labels'], strict=True))
            results = [labels_of.get(stem) for stem in frames]
            places = [f'the result of {path}' for path in paths]
            classes = self.classes.get(name, {})
            scores = score_video(name, truth, results, places, classes)
            self.results.append((name, scores))

    def compute_metrics(self, results: list[tuple[str, list[ObjectScores]]]) -> dict[str, float]:
        """Give the summary values by name.

        Raises:
            DataError: only a part of the videos has results.
        """
        by_name = dict(results)  # a sampler may repeat a video
        check_complete(self.folders, by_name)
        objects = []
        for scores in by_name.values():
            objects += scores
        return summarize(objects, self.seen).metrics
