"""The metric that a training or test loop calls: YouTube-VIS scores on the annotations of a split,
and its results files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmvos.io.youtube_vis import read_youtube_vis
from mmvos.registry import METRICS

from .results_file import write_results
from .scores import evaluate_youtube_vis
from .tracks import check_ground_truth, check_results, has_annotations


@METRICS.register_module()
class YouTubeVISMetric(BaseMetric):
    """AP, AP50, AP75, APs/m/l, AR1/10/100 and ARs/m/l of finished videos.

    Args:
        ann_file: annotations in YouTube-VIS format. Without annotations in it the files are written
            and no score is given.
        outfile_prefix: where to write PREFIX.json and PREFIX.zip (results.json inside); None:
            nowhere.
        collect_device, prefix: see mmengine's `BaseMetric`.
    """

    default_prefix = 'youtube_vis'

    def __init__(
        self,
        ann_file: str,
        outfile_prefix: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ann_file = ann_file
        self.outfile_prefix = outfile_prefix

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Take finished videos.

        Args:
            data_batch: not looked at.
            data_samples: {'video_id': int, 'length': int, 'entries': list in the official results
                schema}.
        """
        for sample in data_samples:
            number = sample['video_id']
            entries = sample['entries']
            for entry in entries:
                length = len(entry['segmentations'])
                assert length == sample['length'], (
                    f'video {number}: {length} segmentations, not {sample["length"]}'
                )
            self.results.append({'video_id': number, 'entries': entries})

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Scores of all videos by name; {} without annotations. The order in which processes
        finished changes nothing.
        """
        logger = MMLogger.get_current_instance()

        # a sampler may repeat a video
        videos = {result['video_id']: result['entries'] for result in results}
        entries = [entry for video_id in sorted(videos) for entry in videos[video_id]]
        if self.outfile_prefix is not None:
            paths = write_results(entries, self.outfile_prefix)
            logger.info('Results are in %s and %s.', *paths)
        data = read_youtube_vis(self.ann_file)
        if not has_annotations(data):
            logger.info(
                '%s has no annotations, so the results were not scored.', Path(self.ann_file)
            )
            return {}
        truth = check_ground_truth(data, self.ann_file)
        return evaluate_youtube_vis(truth, check_results(entries, truth)).metrics()
