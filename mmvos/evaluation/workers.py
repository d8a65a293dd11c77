"""Work in processes with a progress bar; the number of processes never changes the result."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

from mmvos.io.progress_bar import with_bar

Item = TypeVar('Item')
Result = TypeVar('Result')


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int, title: str
) -> list[Result]:
    """Results of `function` in the order of `items`; the first error ends the work.

    Args:
        function: a module's function, or a `partial` of one.
        items: longest work first fills the processes best.
        processes: 1 stays in this process.
        title: of the progress bar.
    """
    assert processes >= 1, processes
    processes = min(processes, len(items))
    if processes <= 1:
        return _collect(map(function, items), title, len(items))

    # A child that is forked need not import anything again.
    method = None
    if 'fork' in multiprocessing.get_all_start_methods():
        method = 'fork'
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(processes, context, initializer=_start_worker) as pool:
        try:
            return _collect(pool.map(function, items), title, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _collect(results: Iterable[Result], title: str, count: int) -> list[Result]:
    """The results as a list, behind a progress bar."""
    return list(with_bar(results, title, count))


def _start_worker() -> None:
    """Prepare a process: one thread, and an end without a traceback after Ctrl-C."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
