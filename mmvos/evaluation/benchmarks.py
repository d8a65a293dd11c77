"""The benchmarks by name: the only place where one is registered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmvos.io.errors import DataError

from .benchmark import Benchmark
from .davis.benchmark import DAVIS
from .vot.benchmark import VOT
from .youtube_vis.benchmark import YouTubeVIS
from .youtube_vos.benchmark import YouTubeVOS

_ALL: tuple[Benchmark, ...] = (YouTubeVIS(), DAVIS(), YouTubeVOS(), VOT())
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in _ALL}


def benchmark_of_metric(metric: type) -> Benchmark | None:
    """Find the benchmark that a class of metrics belongs to, itself or by inheritance."""
    by_metric = {benchmark.metric: benchmark for benchmark in BENCHMARKS.values()}
    # The class itself first, then its bases: a child of another benchmark's metric is its own.
    for cls in metric.__mro__:
        if cls.__name__ in by_metric:
            return by_metric[cls.__name__]
    return None


def choose_benchmark(name: str | None, metrics: Iterable[Any]) -> Benchmark:
    """Find the benchmark of a loop.

    Args:
        name: the loop's option ``benchmark``.
        metrics: of its evaluator, which decide where there is no name.

    Raises:
        DataError: there is no such benchmark, or no metric of one.
    """
    if name is not None:
        if name not in BENCHMARKS:
            raise DataError(f'There is no benchmark {name!r}; there are {", ".join(BENCHMARKS)}.')
        return BENCHMARKS[name]
    for metric in metrics:
        benchmark = benchmark_of_metric(type(metric))
        if benchmark is not None:
            return benchmark
    raise DataError(
        'The evaluator has no metric of a benchmark, so it is not known how the videos are run; '
        f'give the loop the option benchmark ({", ".join(BENCHMARKS)}).'
    )
