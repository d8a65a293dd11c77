"""What a benchmark is: how its videos are run, how their results are stored and scored, and which
options it has.

The loops of ``mmvos.engine`` and the commands ``test`` and ``evaluate`` know benchmarks by this
class alone. ``mmvos.evaluation.benchmarks`` lists them, and docs/extending.md shows how to add one.
Help texts are made of benchmarks, so this module and those of the benchmarks import nothing that
takes time; what a method needs, it imports itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from mmvos.structures import Frame, FrameResult, Prompts

    from .report import Report
    from .resumable_results import ResumableResults
    from .vot.supervised_run import SupervisedTracker

# What a metric takes for one finished video; see the metric's ``process``.
VideoSample = dict[str, Any]


class BenchmarkVideo(Protocol):
    """One video of a data set: its id in the data set, its name, and its number of frames."""

    @property
    def id(self) -> int:
        """Number of the video, unique in the data set."""

    @property
    def name(self) -> str:
        """Name of the video's folder."""

    @property
    def length(self) -> int:
        """Number of frames."""


class BenchmarkDataset(Protocol):
    """What a benchmark needs of the data set that a model is tested on."""

    @property
    def videos(self) -> Sequence[Any]:
        """The videos, each a ``BenchmarkVideo``."""

    @property
    def metainfo(self) -> dict[str, Any]:
        """Classes and category ids, where the data set has them."""


class VideoRunner(Protocol):
    """A model as benchmarks see it; ``mmvos.engine`` has the only one."""

    def run(
        self, frames: Iterable[Frame], prompts: Mapping[int, Prompts] | None = None
    ) -> Iterator[FrameResult]:
        """Go through a video; ``prompts`` by frame index."""

    def make_tracker(self) -> SupervisedTracker:
        """Make a tracker that is started on a region and asked for one in each later frame."""


@dataclass(frozen=True)
class Option:
    """One option of a benchmark, on the command line and in the config of its metric.

    Attributes:
        name: on the command line, e.g. '--year'; in a config 'year'.
        help: one line.
        default: where it is not given.
        kind: turns the text of the command line into the value.
        choices: the values that are accepted; any by default.
        count: how many values follow.
        metavar: what the help calls the value.
        is_switch: the option is given without a value, and is then true.
    """

    name: str
    help: str
    default: Any = None
    kind: type = str
    choices: tuple[Any, ...] | None = None
    count: int = 1
    metavar: str | tuple[str, ...] | None = None
    is_switch: bool = False

    @property
    def key(self) -> str:
        """Name in a config and in ``options`` of `Benchmark.score`."""
        return self.name.removeprefix('--').replace('-', '_')


class Benchmark(ABC):
    """Base of the benchmarks; an object of it has no state.

    Class attributes:
        name: on the command line of ``evaluate``.
        metric: name of the metric that a config's evaluator has; it stands in the module ``metric``
            of the benchmark's folder.
        measures: what is measured, in a few words for help texts.
        ground_truth: what ``evaluate --gt`` expects.
        ground_truth_key: where the metric's config says where the ground truth is.
        options: of ``evaluate``, and of the metric's config.
        gives_prompts: whether the data set has ``prompts``, which say what to follow.
        has_classes: whether the results name classes of the data set.
        explanation: a line that ``test`` prints above the scores.
    """

    name: ClassVar[str]
    metric: ClassVar[str]
    measures: ClassVar[str]
    ground_truth: ClassVar[str]
    ground_truth_key: ClassVar[str] = 'ground_truth'
    options: ClassVar[tuple[Option, ...]] = ()
    gives_prompts: ClassVar[bool] = False
    has_classes: ClassVar[bool] = False
    explanation: ClassVar[str] = ''

    @property
    def eval_name(self) -> str:
        """Its name on the command line of ``test --eval``: by default that of ``evaluate``."""
        return self.name

    # How videos are run

    @abstractmethod
    def run(
        self, video: Any, frames: Iterable[Frame], dataset: Any, model: VideoRunner
    ) -> Iterator[Any]:
        """Run a model over one video.

        Args:
            video: one of ``dataset.videos``.
            frames: its frames in order.
            dataset: that of the run.
            model: what is tested.

        Returns:
            The results that count, as they come; what they are is the benchmark's own affair.
        """

    @abstractmethod
    def sample(self, video: Any, results: Iterable[Any], dataset: Any) -> VideoSample:
        """Make of the results of ``run`` what the metric takes."""

    # How results are stored

    @abstractmethod
    def open_results(
        self, out: Path, run: str, made_by: Mapping[str, str], dataset: Any
    ) -> ResumableResults:
        """Open the results on disk, with what an earlier run has finished.

        Args:
            out: ``--out`` of the command.
            run: fingerprint of the run; results of others are set aside.
            made_by: what the record of the run says, see ``RunRecord``.
            dataset: that of the run.
        """

    @abstractmethod
    def describe_inputs(self, dataset: Any, ground_truth: str) -> Mapping[str, Any]:
        """Say what decides the results beside model, config and frames: it goes into the run's
        fingerprint.
        """

    @abstractmethod
    def check_output(self, out: Path, dataset: Any, ground_truth: str) -> None:
        """Refuse an output whose files would replace those that the run reads.

        Raises:
            DataError: they would.
        """

    # How results are scored

    @abstractmethod
    def score(
        self, ground_truth: Path, results: Path, options: Mapping[str, Any], processes: int
    ) -> Report:
        """Score results on disk.

        Args:
            ground_truth: see the class attribute.
            results: what ``results_path`` names, or the like of another program.
            options: a value for each option, see ``option_values``.
            processes: how many may work; the number changes no value.

        Raises:
            DataError: input that cannot be scored.
        """

    def results_path(self, out: Path) -> Path:
        """Name the results of a test run that are scored."""
        return out

    def has_annotations(self, ground_truth: Path) -> bool:
        """Whether a ground truth says what is right, so that results can be scored."""
        return True

    def required_videos(
        self, ground_truth: Path, options: Mapping[str, Any]
    ) -> Collection[str] | None:
        """Look at a ground truth before a run whose results are to be scored with it.

        Returns:
            Names of the videos that must have results; None where this is not looked at.

        Raises:
            DataError: nothing can be scored with it.
        """
        return None

    def option_fault(self, options: Mapping[str, Any]) -> str | None:
        """Say which options do not go together; None where all do."""
        return None

    def option_values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Take the benchmark's options out of a config or a command line; defaults for the rest."""
        return {option.key: given.get(option.key, option.default) for option in self.options}
