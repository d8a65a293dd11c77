"""Imports a module without lines that it prints while it is imported and that tell a user
nothing.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection
from importlib import import_module


def import_without(module: str, lines: Collection[str]) -> None:
    """Import a module; what it prints is printed afterwards, but for some lines.

    Args:
        module: its dotted name.
        lines: to be left out, without their ends.
    """
    caught = io.StringIO()
    try:
        with contextlib.redirect_stdout(caught):
            import_module(module)
    finally:
        for line in caught.getvalue().splitlines():
            if line not in lines:
                print(line)
