"""Work beside the model: reading the next frames and writing the last ones in one other thread
each.

All keep a fixed number of items, so memory does not grow; an error of the other thread comes up in
the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import Condition, Thread
from typing import Any, TypeVar

T = TypeVar('T')
_END = object()
_PATIENCE = 2.0  # seconds that a reader has to notice that nobody reads on


def read_ahead(items: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """Yield the items in order while up to ``depth`` of the following ones are made in another
    thread.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, 'mmvos-read') as pool:
        waiting: deque[Future[Any]] = deque()
        for _ in range(depth):
            waiting.append(pool.submit(next, iterator, _END))
        while (item := waiting.popleft().result()) is not _END:
            # For each item that is taken the one after the waiting ones is asked for.
            waiting.append(pool.submit(next, iterator, _END))
            yield item


def latest_only(items: Iterable[T]) -> Generator[T, None, None]:
    """Yield always the latest item: those that come while the caller is busy are dropped, so that
    it never falls behind.

    The items are read in another thread as fast as they come; the last one is never dropped.
    """
    changed = Condition()
    latest: deque[Any] = deque(maxlen=1)
    ended: list[BaseException | None] = []  # how the items ended
    left: list[bool] = []  # nobody reads on

    def read() -> None:
        """Take the items as they come, in the other thread."""
        error: BaseException | None = None
        try:
            with closing(_generator(items)) as reading:
                for item in reading:
                    with changed:
                        # The deque holds one item: an older one that nobody took falls out.
                        latest.append(item)
                        changed.notify()
                    if left:
                        break
        except BaseException as raised:  # goes up in the caller
            error = raised
        with changed:
            ended.append(error)
            changed.notify()

    thread = Thread(target=read, name='mmvos-latest', daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: latest or ended)
                if not latest:
                    break
                item = latest.popleft()
            # Outside the lock: the reader goes on while the caller works.
            yield item
    finally:
        # A caller that leaves early ends the source, too, which may be a camera.
        left.append(True)
        thread.join(_PATIENCE)
    if ended[0] is not None:
        raise ended[0]


def _generator(items: Iterable[T]) -> Generator[T, None, None]:
    yield from items


class AsyncWriter:
    """Calls a function in another thread, in order, at most ``depth`` calls behind; a context
    manager that waits at its end.
    """

    def __init__(self, write: Callable[..., None], depth: int = 4) -> None:
        self._write = write
        self._depth = depth
        self._pool = ThreadPoolExecutor(1, 'mmvos-write')
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> AsyncWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True)
        while self._waiting:
            self._waiting.popleft().result()

    def write(self, *arguments: Any) -> None:
        """Hand over one call; wait while too many are under way. Raises what an earlier call has
        raised.
        """
        while len(self._waiting) >= self._depth:
            oldest = self._waiting.popleft()
            oldest.result()
        call = self._pool.submit(self._write, *arguments)
        self._waiting.append(call)
