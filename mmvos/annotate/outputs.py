"""The files that annotations are written to: locked while they are written, and not overwritten
unasked.
"""

from __future__ import annotations

from pathlib import Path

from mmvos.io.atomic import check_file
from mmvos.io.errors import DataError


def check_new_file(out: Path, source: Path, overwrite: bool) -> None:
    """Refuse a file that cannot be written, or that would be lost.

    Args:
        out: the file.
        source: what it is made of.
        overwrite: whether it may be there.

    Raises:
        DataError: it cannot be written, is the source, or is there and may not be.
    """
    check_file(out)
    if out.exists() and out.samefile(source):
        raise DataError(f'{out} would be written over what it is made of; give another --out')
    if out.exists() and not overwrite:
        raise DataError(f'{out} is there; give another --out, or --overwrite to replace it')


def lock_beside(out: Path) -> Path:
    """The lock of a file that is written."""
    return out.with_name(f'.{out.name}.lock')
