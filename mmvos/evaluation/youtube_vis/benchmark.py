"""YouTube-VIS as a benchmark: how models that discover objects are run, and their tracks scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..benchmark import Benchmark, VideoRunner, VideoSample

if TYPE_CHECKING:
    from mmvos.structures import Frame, FrameResult

    from ..report import Report
    from .track_results import TrackResults


class YouTubeVIS(Benchmark):
    """YouTube-VIS, OVIS and own classes: nothing is given, and the results are tracks."""

    name = 'youtube-vis'
    metric = 'YouTubeVISMetric'
    measures = 'AP of the masks'
    ground_truth = 'annotation JSON in YouTube-VIS format'
    ground_truth_key = 'ann_file'
    has_classes = True

    @property
    def eval_name(self) -> str:
        """segm, as mmdet calls the AP of masks."""
        return 'segm'

    def run(
        self, video: Any, frames: Iterable[Frame], dataset: Any, model: VideoRunner
    ) -> Iterator[FrameResult]:
        """Let the model discover the objects of a video."""
        return model.run(frames)

    def sample(self, video: Any, results: Iterable[FrameResult], dataset: Any) -> VideoSample:
        """Make {'video_id', 'length', 'entries': tracks in the official results schema}."""
        from .track_results import track_entries

        entries = track_entries(video, results, dataset.metainfo['category_ids'])
        return {'video_id': video.id, 'length': video.length, 'entries': entries}

    def open_results(
        self, out: Path, run: str, made_by: Mapping[str, str], dataset: Any
    ) -> TrackResults:
        """Open OUT.json and OUT.zip."""
        from .track_results import TrackResults

        lengths = {str(video.id): video.length for video in dataset.videos}
        return TrackResults(out, run, made_by, lengths, dataset.metainfo['category_ids'])

    def describe_inputs(self, dataset: Any, ground_truth: str) -> Mapping[str, Any]:
        """Give a digest of the annotation file."""
        from ..resumable_results import fingerprint

        return {'annotations': fingerprint({}, ground_truth)}

    def check_output(self, out: Path, dataset: Any, ground_truth: str) -> None:
        """Refuse to write results over the annotations."""
        from .track_results import check_is_not_ground_truth

        check_is_not_ground_truth(self.results_path(out), Path(ground_truth))

    def score(
        self, ground_truth: Path, results: Path, options: Mapping[str, Any], processes: int
    ) -> Report:
        """Score a results JSON or a submission zip; see `evaluate_youtube_vis_files`."""
        from .evaluate import evaluate_youtube_vis_files

        return evaluate_youtube_vis_files(ground_truth, results)

    def results_path(self, out: Path) -> Path:
        """Name the results JSON."""
        return out.with_name(f'{out.name}.json')

    def has_annotations(self, ground_truth: Path) -> bool:
        """Whether a file has annotations; the published validation and test files have none."""
        from mmvos.io.json_file import read_json

        from .tracks import has_annotations

        return has_annotations(read_json(ground_truth))
