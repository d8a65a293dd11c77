"""Which files of a folder are frames, and in which order: the one listing for all readers.

Frames are in natural order, so that frame_2 comes before frame_10 whether or not the names have
leading zeros. What file managers, editors and network drives leave in a folder (``._NAME``,
``.DS_Store``, ``Thumbs.db``, ``@eaDir``, ``.ipynb_checkpoints``) is no part of it.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from .notes import note_once

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')

# Names without a leading dot that systems give to files and folders of their own, in lower case.
_FOREIGN = frozenset(
    {
        '#recycle',
        '$recycle.bin',
        '@eadir',
        '__macosx',
        '__pycache__',
        'desktop.ini',
        'ehthumbs.db',
        'lost+found',
        'system volume information',
        'thumbs.db',
    }
)
_DIGITS = re.compile(r'([0-9]+)')
NaturalKey = tuple[tuple[str | tuple[int, str], ...], str]
Item = TypeVar('Item')


def natural_key(name: str) -> NaturalKey:
    """Return the sort key by which frame_2 comes before frame_10.

    Args:
        name: of a file, or a path.

    Returns:
        Texts and numbers in turn, then the name itself, which decides between 1 and 01.
    """
    parts: list[str | tuple[int, str]] = []
    for place, part in enumerate(_DIGITS.split(name)):
        is_number = place % 2 == 1
        if is_number:
            # Compared by length and then digit by digit: numbers of any length, no conversion.
            digits = part.lstrip('0')
            parts.append((len(digits), digits))
        else:
            parts.append(part)
    return tuple(parts), name


def sort_frames(
    frames: Iterable[Item], where: object, name_of: Callable[[Item], str] = str
) -> list[Item]:
    """Sort the frames of one video naturally; say once in a run where this is not the text order.

    Args:
        frames: anything that has a name.
        where: the folder or file that lists them, for the note.
        name_of: gives the name of a frame.
    """
    ordered = sorted(frames, key=lambda frame: natural_key(name_of(frame)))
    names = [name_of(frame) for frame in ordered]
    for earlier, later in itertools.pairwise(names):
        if earlier > later:
            note_once(
                'natural order',
                f'{where}: frames are taken in the order of the numbers in their names '
                f'({os.path.basename(earlier)} before {os.path.basename(later)}), which is not '
                'the alphabetical order; other programs may read them in another order.',
            )
            break
    return ordered


def is_foreign(name: str) -> bool:
    """Return whether a file or folder belongs to the system or is hidden, by its last name."""
    return name.startswith('.') or name.lower() in _FOREIGN


def list_files(folder: str | Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List the files of a folder that have one of the suffixes, in natural order.

    Args:
        folder: without it the list is empty.
        suffixes: in lower case; the case of the files' suffixes does not matter.
    """
    folder = Path(folder)
    found = []
    for entry in _entries(folder):
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix in suffixes and not entry.is_dir():
            found.append(folder / entry.name)
    return sort_frames(found, folder, lambda path: path.name)


def has_file(folder: str | Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> bool:
    """Return whether a folder holds a file that `list_files` would list."""
    for entry in _entries(Path(folder)):
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix in suffixes and not entry.is_dir():
            return True
    return False


def list_folders(folder: str | Path) -> list[Path]:
    """List the folders in a folder (videos, classes) in the order of their text.

    Args:
        folder: without it the list is empty.
    """
    folder = Path(folder)
    return sorted(folder / entry.name for entry in _entries(folder) if entry.is_dir())


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, without foreign names."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not is_foreign(entry.name)]
