"""Supervised runs of a test, kept sequence by sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..benchmark import BenchmarkVideo
from ..resumable_results import ResumableFiles
from .supervised_run import write_trajectory
from .trajectories import Line


class TrajectoryResults(ResumableFiles):
    """Supervised runs ``out/baseline/SEQUENCE/SEQUENCE_001.txt``, as the tools of VOT write
    them.
    """

    def keep(self, video: BenchmarkVideo, lines: Iterable[Line]) -> None:
        """Write the lines of one sequence, and keep it as finished."""
        sequence = video.name
        name = f'baseline/{sequence}/{sequence}_001.txt'
        path = self.staged(name)
        write_trajectory(path, list(lines))

        entries = self.entries([name])
        self.append(video.id, entries)

    def merge(self, video_ids: Sequence[int]) -> tuple[Path, ...]:
        """End the run, see ``collect``; returns the folder of the results."""
        self.collect(video_ids, self.place)
        return (self.out,)
