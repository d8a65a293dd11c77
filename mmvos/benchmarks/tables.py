"""Markdown tables, line by line: what most benchmarks print."""

from __future__ import annotations

from collections.abc import Sequence


def print_head(columns: Sequence[str]) -> None:
    """Print the first two lines of a table, below an empty one."""
    print()
    print_row(columns)
    print('|---' * len(columns) + '|')


def print_row(cells: Sequence[object]) -> None:
    """Print a line of a table; each cell as ``str`` gives it."""
    print('| ' + ' | '.join(map(str, cells)) + ' |', flush=True)
