"""The bar of long work: on a terminal only, on standard error, so that neither a log nor the output
of a command is filled with its repetitions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

_Item = TypeVar('_Item')
_SECONDS = 2.0  # work that is done before shows no bar


def shows_bars() -> bool:
    """Return whether bars are drawn: standard error is a terminal."""
    return sys.stderr.isatty()


def with_bar(
    items: Iterable[_Item], title: str, total: int | None = None, unit: str = 'it'
) -> Iterable[_Item]:
    """Return the items, and show how many have been taken.

    Args:
        items: what the work goes through.
        title: what the work is, e.g. 'reading'.
        total: how many there are, where ``items`` has no length.
        unit: what is counted.
    """
    if not shows_bars():
        return items
    bar: Iterable[_Item] = tqdm(
        items, title, total, unit=unit, leave=False, delay=_SECONDS, dynamic_ncols=True
    )
    return bar


def print_beside_bar(text: str) -> None:
    """Print a line on standard output without damaging the bar that is shown."""
    if shows_bars():
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()
    else:
        print(text, flush=True)
