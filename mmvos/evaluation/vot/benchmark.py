"""VOT as a benchmark: supervised runs, whose results are a line per frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..benchmark import Benchmark, Option, VideoRunner, VideoSample
from .intervals import INTERVALS

if TYPE_CHECKING:
    from mmvos.structures import Frame

    from ..report import Report
    from .trajectories import Line
    from .trajectory_results import TrajectoryResults


class VOT(Benchmark):
    """VOT 2016, 2018 and 2019: a tracker is started again after it has lost the object."""

    name = 'vot'
    metric = 'VOTMetric'
    measures = 'accuracy, robustness, EAO'
    ground_truth = 'folder that holds one folder with groundtruth.txt per sequence'
    explanation = (
        'accuracy, robustness and EAO as the SiamMask and pysot tools count them, toolkit_* as '
        'the VOT toolkit does'
    )
    options = (
        Option('--year', 'interval of EAO (default 2018)', 2018, int, tuple(INTERVALS)),
        Option(
            '--interval',
            'another interval, for own sequences',
            kind=int,
            count=2,
            metavar=('LOW', 'HIGH'),
        ),
        Option(
            '--toolkit-workspace',
            'also export to this VOT toolkit workspace',
            kind=Path,
            metavar='DIR',
        ),
        Option('--tracker', 'name of the tracker in that workspace', metavar='NAME'),
    )

    def run(
        self, video: Any, frames: Iterable[Frame], dataset: Any, model: VideoRunner
    ) -> Iterator[Line]:
        """Run the model over one sequence, started again where it has lost the object."""
        from .supervised_run import run_supervised

        sequence = video.sequence
        tracker = model.make_tracker()
        yield from run_supervised(frames, sequence.truth, tracker, sequence.size())

    def sample(self, video: Any, results: Iterable[Line], dataset: Any) -> VideoSample:
        """Make {'sequence': name, 'lines': those of the run}."""
        return {'sequence': video.name, 'lines': list(results)}

    def open_results(
        self, out: Path, run: str, made_by: Mapping[str, str], dataset: Any
    ) -> TrajectoryResults:
        """Open OUT/baseline/SEQUENCE/SEQUENCE_001.txt."""
        from .trajectory_results import TrajectoryResults

        lengths = {video.name: video.length for video in dataset.videos}
        return TrajectoryResults(out, run, made_by, lengths)

    def describe_inputs(self, dataset: Any, ground_truth: str) -> Mapping[str, Any]:
        """Give the true regions, on which trackers are started."""
        return {'truth': [video.sequence.truth.tolist() for video in dataset.videos]}

    def check_output(self, out: Path, dataset: Any, ground_truth: str) -> None:
        """Nothing of a data set has the name of a result."""

    def score(
        self, ground_truth: Path, results: Path, options: Mapping[str, Any], processes: int
    ) -> Report:
        """Score a folder with baseline/SEQUENCE/SEQUENCE_001.txt; see `evaluate_vot`."""
        from .evaluate import evaluate_vot
        from .toolkit_workspace import export_workspace

        year = options['year']
        interval = options['interval']
        if interval is not None:
            interval = tuple(interval)
        report = evaluate_vot(ground_truth, results, year, interval, processes)
        workspace = options['toolkit_workspace']
        if workspace is not None:
            export_workspace(results, ground_truth, workspace, options['tracker'], year)
        return report

    def option_fault(self, options: Mapping[str, Any]) -> str | None:
        """An export needs both the workspace and the tracker's name."""
        if bool(options['toolkit_workspace']) != bool(options['tracker']):
            return '--toolkit-workspace and --tracker belong together'
        return None
