"""Turns a name that stands in data into a path below a folder, and refuses a name that leads out.

Sequence names of ImageSets and VOT lists, file names of annotation files and members of zip files
come from whoever made the data. Joined to a folder without a look, '../victim' or '/etc/passwd'
reads or overwrites files anywhere. Every reader, writer and converter joins with these functions.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from .errors import DataError

# Control characters (a null byte ends a name for the operating system) and the backslash, which
# parts folders on one system and belongs to the name on another.
_FOREIGN_CHARACTER = re.compile(r'[\x00-\x1f\x7f-\x9f\\]')
_DRIVE = re.compile(r'[A-Za-z]:')
_MAX_PART_BYTES = 255  # of one folder or file name, on all usual file systems
_MAX_NAME_BYTES = 4096
_SHOWN = 60  # characters of a name in a message


class UnsafeNameError(DataError):
    """A name in data that is no path below the folder it belongs to."""


def name_fault(name: object) -> str | None:
    """Say what keeps a name from being a path below a folder.

    Args:
        name: what stands in the data; folders are parted by '/'.

    Returns:
        The end of a sentence about the name, such as 'is empty'; None where nothing is wrong.
    """
    if not isinstance(name, str):
        return 'is no text'
    if not name.strip():
        return 'is empty'

    # Characters that mean another thing on another system.
    foreign = _FOREIGN_CHARACTER.search(name)
    if foreign is not None:
        if foreign[0] == '\\':
            return "has a backslash; part folders with '/'"
        return f'has the control character {foreign[0]!r}'
    if name.startswith('/') or _DRIVE.match(name):
        return 'is an absolute path; names are relative to their folder'

    # Where the path leads.
    parts = PurePosixPath(name).parts
    if '..' in parts:
        return "leads out of its folder ('..')"
    if not parts:
        return 'names the folder itself'

    # What the file system takes.
    try:
        sizes = [len(os.fsencode(part)) for part in parts]
    except UnicodeEncodeError:
        return 'has a character that file names of this system cannot hold'
    if max(sizes) > _MAX_PART_BYTES or sum(sizes) + len(sizes) > _MAX_NAME_BYTES:
        return f'is too long; a file name has at most {_MAX_PART_BYTES} bytes'
    return None


def check_name(name: object, where: str) -> str:
    """Check a name that stands in data.

    Args:
        name: what stands in the data.
        where: file and place the name comes from; the message begins with it.

    Returns:
        The name without '.' and empty parts, with '/' between folders.

    Raises:
        UnsafeNameError: the name is no path below a folder.
    """
    fault = name_fault(name)
    if fault is not None:
        raise UnsafeNameError(f'{where}: the name {_shown(name)} {fault}.')
    return str(PurePosixPath(str(name)))


def path_inside(root: str | Path, name: object, where: str) -> Path:
    """Join a folder and a name from data, for reading.

    Links inside ``root`` are the user's own and are followed.

    Args:
        root: the folder.
        name: what stands in the data.
        where: file and place the name comes from; the message begins with it.

    Raises:
        UnsafeNameError: the name is no path below ``root``.
    """
    return Path(root) / check_name(name, where)


def output_inside(root: str | Path, name: object, where: str) -> Path:
    """Join a folder and a name from data, for writing: a link does not lead out either.

    Args:
        root: the folder that everything is written to; it need not exist yet.
        name: what stands in the data.
        where: file and place the name comes from; the message begins with it.

    Raises:
        UnsafeNameError: the name is no path below ``root``, or a link on the way leads out of it.
    """
    path = path_inside(root, name, where)
    if not path.resolve().is_relative_to(Path(root).resolve()):
        raise UnsafeNameError(
            f'{where}: the name {_shown(name)} leads out of {root} through a link; remove the link.'
        )
    return path


def user_path(text: str | Path) -> Path:
    """Return the path that a user means: a leading ~ is a home folder, unless a file is called so.

    A home of nobody ('~.mp4') is a name like any other.
    """
    if os.path.exists(text):
        return Path(text)
    return Path(os.path.expanduser(text))


def _shown(name: object) -> str:
    """The name as it stands in a message: short, and without a character that moves the cursor."""
    text = ascii(name) if not isinstance(name, str) or not name.isprintable() else f"'{name}'"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 4] + "...'"
