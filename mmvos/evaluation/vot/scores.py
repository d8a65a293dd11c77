"""Accuracy, robustness and expected average overlap (EAO) of supervised runs (Kristan et al., VOT
2016 to 2019).

Two conventions are in use and differ: that of the SiamMask and pysot tools, under the plain names,
and that of the VOT toolkit, under names with `toolkit_`. Letters: N frames of a sequence; S
segments; M frames of the longest sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import Report
from .intervals import Interval
from .raster import overlap, toolkit_overlap
from .trajectories import FAILED, INITIALIZED, TRACKED, Trajectory

BURN_IN = 10  # frames after a start, the start included, that do not count for accuracy
RESTART_AFTER = 5  # frames from a failure to the restart
UNDEFINED = -1.0


@dataclass(frozen=True)
class Run:
    """One repetition on one sequence.

    Attributes:
        codes: (N,) of each frame.
        overlaps: (N,) with the truth within the image and one pixel more, for accuracy; NaN where
            not tracked, or where neither region has a pixel.
        inside: the same within the image, for EAO.
        toolkit: (N,) overlaps by the VOT toolkit's rule within the image; NaN where not tracked.
    """

    codes: NDArray[np.int64]
    overlaps: NDArray[np.float64]
    inside: NDArray[np.float64]
    toolkit: NDArray[np.float64]


def measure(track: Trajectory, truth: NDArray[np.float64], size: tuple[int, int] | None) -> Run:
    """Measure the overlaps of a trajectory with the truth.

    Args:
        track: codes and polygons of N frames.
        truth: (N, 8) corners.
        size: (width, height) of the frames; None: everything counts.
    """
    # Two conventions of where the image ends: its size, and its last pixel.
    last_pixel = None
    if size is not None:
        width, height = size
        last_pixel = (width - 1, height - 1)

    # Frames in which nothing was tracked stay undefined.
    undefined = np.full(len(truth), np.nan)
    run = Run(
        track.codes,
        overlaps=undefined.copy(),
        inside=undefined.copy(),
        toolkit=undefined.copy(),
    )
    for frame in np.flatnonzero(track.codes == TRACKED):
        region = track.polygons[frame]
        expected = truth[frame]
        run.overlaps[frame] = overlap(region, expected, size)
        run.inside[frame] = overlap(region, expected, last_pixel)
        run.toolkit[frame] = toolkit_overlap(region, expected, last_pixel)
    return run


def accuracy_frames(run: Run, toolkit: bool = False) -> NDArray[np.float64]:
    """Overlaps (N,), by the tools' rule or the toolkit's, of the frames that count for accuracy;
    NaN elsewhere.
    """
    overlaps = run.toolkit if toolkit else run.overlaps
    values = overlaps.copy()
    for start in np.flatnonzero(run.codes == INITIALIZED):
        values[start : start + BURN_IN] = np.nan
    return values


def expected_overlap(runs: Sequence[Run], interval: tuple[int, int]) -> float:
    """EAO by the convention of the SiamMask and pysot tools; -1 where no segment is long enough.

    A segment begins at a start. After a failure it goes on to the restart, frames without a region
    are 0, and it is filled with zeros; the last segment of a sequence, even one that ends in a
    failure too late for a restart, just ends. A failure at frame f of N counts as restarted where
    f + 5 <= N. With f + 5 = N the restart would be the frame behind the last: the segment is filled
    with zeros, weighs n / (n + 1) with its n frames, as the frame behind them is counted with it,
    and nothing follows it.
    """
    segments = []
    weights = []
    longest = max(len(run.codes) for run in runs)
    for run in runs:
        values = np.where(run.codes == TRACKED, np.nan_to_num(run.inside), 0.0)
        failures = np.flatnonzero(run.codes == FAILED)
        restarts = failures + RESTART_AFTER
        starts = [0, *restarts[restarts <= len(values)]]

        # segments that end in a restart: filled with zeros
        for start, restart in pairwise(starts):
            segment = values[start : restart + 1]
            segments.append(_zero_filled(segment, longest))
            weights.append(len(segment) / (restart + 1 - start))

        # the last segment just ends
        if starts[-1] < len(values):
            segments.append(values[starts[-1] :])
            weights.append(1.0)
    curve = expected_overlap_curve(segments, longest, weights)
    return _mean_of_defined(curve[interval[0] - 1 : interval[1]])


def toolkit_expected_overlap(runs: Sequence[Run], interval: tuple[int, int]) -> float:
    """EAO by the convention of the VOT toolkit.

    A segment ends at its failure, however late, and is filled with zeros; both ends of the interval
    count.

    Args:
        runs: at least one.
        interval: of sequence lengths in frames.

    Returns:
        In [0, 1]; -1 where no segment is long enough.
    """
    segments = []
    longest = max(len(run.codes) for run in runs)
    for run in runs:
        values = np.where(run.codes == TRACKED, run.toolkit, 0.0)
        failures = np.flatnonzero(run.codes == FAILED)
        starts = np.flatnonzero(run.codes == INITIALIZED)
        for end in failures:
            start = starts[starts < end][-1]
            segments.append(_zero_filled(values[start:end], longest))
        # the segment after the last failure just ends
        last_start = starts[-1]
        if not len(failures) or last_start > failures[-1]:
            segments.append(values[last_start:])
    curve = expected_overlap_curve(segments, longest)
    shortest, longest_counted = interval
    return _mean_of_defined(curve[shortest : longest_counted + 1])


def expected_overlap_curve(
    segments: Sequence[NDArray[np.float64]], longest: int, weights: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """The mean overlap that is expected of a run, by its length.

    Args:
        segments: S arrays of overlaps.
        longest: M.
        weights: of the S segments; by default all weigh the same.

    Returns:
        (M,): at i the mean over the segments longer than i of their mean overlap in frames 1..i;
        NaN without one. At 0 it is 1.
    """
    # (S, M): the mean overlap of each segment in frames 1..i; NaN behind its end
    means = np.full((len(segments), longest), np.nan)
    for row, segment in zip(means, segments, strict=True):
        length = len(segment)
        row[1:length] = np.cumsum(segment[1:]) / np.arange(1, length)

    # (S, M): the weight of each segment where it has a mean
    weight: NDArray[np.float64] = np.ones(len(segments))
    if weights is not None:
        weight = np.asarray(weights)
    shares = np.where(np.isnan(means), 0.0, weight[:, None])

    # (M,): the weighted mean over the segments
    total = shares.sum(axis=0)
    weighted = (np.nan_to_num(means) * shares).sum(axis=0)
    curve = np.full(longest, np.nan)
    np.divide(weighted, total, out=curve, where=total > 0)
    curve[0] = 1.0
    return curve


def summarize(runs: dict[str, list[Run]], interval: Interval) -> Report:
    """Give all measures of a set of sequences; several repetitions of a sequence are averaged.

    Args:
        runs: repetitions by sequence.
        interval: sequence lengths that EAO averages over.
    """
    every: list[Run] = []
    frames: dict[str, int] = {}
    lost: dict[str, float] = {}
    toolkit_accuracy: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for name, repetitions in runs.items():
        every += repetitions
        frames[name] = len(repetitions[0].codes)
        lost[name] = float(np.mean([(run.codes == FAILED).sum() for run in repetitions]))
        toolkit_accuracy[name] = _accuracy(repetitions, toolkit=True)
        rows.append(
            {
                'sequence': name,
                'object': 1,
                'frames': frames[name],
                'accuracy': _accuracy(repetitions),
                'lost_number': lost[name],
            }
        )
    rows.sort(key=lambda row: row['sequence'])

    # The toolkit averages over sequences by their length, and leaves out those without accuracy.
    with_accuracy = {
        name: frames[name] for name, value in toolkit_accuracy.items() if value != UNDEFINED
    }
    metrics = {
        'EAO': expected_overlap(every, interval.plain),
        'accuracy': _accuracy(every),
        'robustness': 100 * sum(lost.values()) / sum(frames.values()),
        'lost_number': sum(lost.values()),
        'toolkit_EAO': toolkit_expected_overlap(every, interval.toolkit),
        'toolkit_accuracy': _weighted_mean(toolkit_accuracy, with_accuracy),
        'toolkit_robustness': _weighted_mean(lost, frames),
    }
    low, high = interval.plain
    toolkit_low, toolkit_high = interval.toolkit
    note = (
        f'EAO averages sequence lengths {low} to {high}, toolkit_EAO {toolkit_low} to '
        f'{toolkit_high}; the longest sequence has {max(frames.values())} frames.'
    )
    without_value = frozenset(name for name, value in metrics.items() if value == UNDEFINED)
    return Report(metrics, {'per_object': rows}, (note,), without_value)


def _weighted_mean(values: dict[str, float], lengths: dict[str, int]) -> float:
    """Mean over the sequences that have a length, weighted by it; -1 without one."""
    if not lengths:
        return UNDEFINED
    total = sum(values[name] * length for name, length in lengths.items())
    return total / sum(lengths.values())


def _accuracy(runs: Sequence[Run], toolkit: bool = False) -> float:
    """Mean overlap of all frames of some runs that count; -1 without one."""
    values = [accuracy_frames(run, toolkit) for run in runs]
    return _mean_of_defined(np.concatenate(values))


def _zero_filled(segment: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    return np.concatenate([segment, np.zeros(length - len(segment))])


def _mean_of_defined(values: NDArray[np.float64]) -> float:
    if np.isnan(values).all():
        return UNDEFINED
    return float(np.nanmean(values))
