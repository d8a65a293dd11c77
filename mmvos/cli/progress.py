"""How the work on a video shows that it goes on: a bar on a terminal, a line every two seconds
elsewhere (files, pipes, logs of a cluster).
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from tqdm import tqdm

from mmvos.io.progress_bar import print_beside_bar, shows_bars

_SECONDS = 2.0  # between two lines


class Progress:
    """Shows how far work has come; a context manager.

    Args:
        unit: what is counted, e.g. 'frame'.
        total: how many there are; None where that is not known.
    """

    def __init__(self, unit: str, total: int | None) -> None:
        self.count = 0
        self._unit = unit
        self._total = total
        self._begin = time.monotonic()
        self._shown: float | None = None
        self._bar: Any = None
        if shows_bars():
            self._bar = tqdm(total=total, unit=f' {unit}s', dynamic_ncols=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def rate(self) -> float:
        """Units per second since the beginning."""
        return self.count / max(time.monotonic() - self._begin, 1e-9)

    def expect(self, total: int) -> None:
        """Say how many there are, where that was not known before."""
        self._total = total
        if self._bar is not None:
            self._bar.total = total

    def advance(self, note: str = '') -> None:
        """Count one more, and show it.

        Args:
            note: what is to be said about this one, e.g. '3 objects'.
        """
        self.count += 1
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()
            return

        # Without a bar, as in a log file: a line every few seconds.
        now = time.monotonic()
        if self._shown is not None and now - self._shown < _SECONDS:
            return
        self._shown = now
        total = '?' if self._total is None else self._total
        said = f'{note}, ' if note else ''
        print(
            f'{self._unit} {self.count}/{total}: {said}{self.rate:.2f} {self._unit}s/s', flush=True
        )

    def say(self, text: str) -> None:
        """Print a line without damaging the bar."""
        print_beside_bar(text)
