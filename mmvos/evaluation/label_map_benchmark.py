"""Benchmarks whose objects are given by prompts and whose results are label maps: DAVIS and
YouTube-VOS.

Imports nothing that takes time, see ``mmvos.evaluation.benchmark``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .benchmark import Benchmark, VideoRunner, VideoSample

if TYPE_CHECKING:
    from mmvos.io.label_png import Labels
    from mmvos.structures import Frame, FrameResult

    from .label_map_results import LabelMapResults


class LabelMapBenchmark(Benchmark):
    """Base of the benchmarks that are run from prompts.

    Their data set has ``prompts(video)``, what is said about its objects by frame index, and
    ``wanted_frames(video, prompts)``, the frames whose label maps belong to the results.

    Class attributes:
        folder_in_zip: where the videos stand in the zip that the benchmark's server takes; it ends
            with a slash, or is empty.
    """

    gives_prompts = True
    folder_in_zip: ClassVar[str] = ''

    def run(
        self, video: Any, frames: Iterable[Frame], dataset: Any, model: VideoRunner
    ) -> Iterator[FrameResult]:
        """Follow the objects of the prompts, and yield the results of the wanted frames."""
        prompts = dataset.prompts(video)
        wanted = dataset.wanted_frames(video, prompts)
        for result in model.run(frames, prompts):
            if result.frame_index in wanted:
                yield result

    def sample(self, video: Any, results: Iterable[FrameResult], dataset: Any) -> VideoSample:
        """Make {'sequence': name, 'frames': their names, 'labels': their (H, W) label maps}."""
        kept = list(results)
        frames = []
        for result in kept:
            frames.append(video.frame_names[result.frame_index])
        labels = LabelMaps(kept)
        return {'sequence': video.name, 'frames': frames, 'labels': labels}

    def open_results(
        self, out: Path, run: str, made_by: Mapping[str, str], dataset: Any
    ) -> LabelMapResults:
        """Open OUT/VIDEO/FRAME.png and OUT.zip."""
        from .label_map_results import LabelMapResults

        lengths = {video.name: video.length for video in dataset.videos}
        return LabelMapResults(out, run, made_by, lengths, self.folder_in_zip)

    def describe_inputs(self, dataset: Any, ground_truth: str) -> Mapping[str, Any]:
        """List path, size and time of every label image: a run does not go on with results from
        other prompts.
        """
        label_images = []
        for video in dataset.videos:
            for path in video.files.masks:
                if path is not None:
                    state = path.stat()
                    label_images.append((str(path), state.st_size, state.st_mtime_ns))
        return {'label_images': label_images}

    def check_output(self, out: Path, dataset: Any, ground_truth: str) -> None:
        """Refuse to write label images over those that are given."""
        from .label_map_results import check_is_not_ground_truth

        for video in dataset.videos:
            check_is_not_ground_truth(out, video)


class LabelMaps(Sequence['Labels']):
    """The label maps of results, made when they are asked for: a video's maps are large, its run
    lengths are not.
    """

    def __init__(self, results: Sequence[FrameResult]) -> None:
        self._results = results

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index: int) -> Labels:  # type: ignore[override]
        from mmvos.io.label_png import as_labels

        return as_labels(self._results[index].label_map())
