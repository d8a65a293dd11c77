"""Write files so that a final name never holds half a file.

Content goes to a partial file in the same folder, is flushed to the disk, and takes the final name
in one step (``os.replace``). A process that is killed, or a disk that is full, leaves the file that
was there before; the partial file is removed by the error itself or by the next write there. A
fault of the disk or of the path becomes an `OutputError`: one sentence with the place and the
remedy.
"""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import socket
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image  # most writers of this module need no Pillow

PARTIAL = '.partial'  # the word in the name of each file that is being written
_PREFIX = '.mmvos-'
_counter = itertools.count(1)  # two threads of a process may write files of one folder

# What is wrong and what helps, by the error number of the operating system.
_REASONS = {
    errno.ENOSPC: 'the disk is full; free some space or choose another disk',
    errno.EDQUOT: 'the disk quota is used up; free some space or choose another disk',
    errno.EFBIG: 'the file is larger than the system allows; raise the limit or choose another '
    'disk',
    errno.EACCES: 'there is no permission to write there; change it or choose another folder',
    errno.EPERM: 'there is no permission to write there; change it or choose another folder',
    errno.EROFS: 'the file system is read-only; choose another folder',
    errno.EISDIR: 'it is a folder; give the name of a file',
    errno.ENOTEMPTY: 'it is a folder; give the name of a file',
    errno.ENOTDIR: 'a part of the path is a file or a broken link, not a folder; choose another '
    'path',
    errno.EEXIST: 'a part of the path is a file or a broken link, not a folder; choose another '
    'path',
    errno.ENAMETOOLONG: 'the name is too long for the file system; choose a shorter one',
    errno.ELOOP: 'its symbolic links go round in a circle; choose another path',
    errno.ENOENT: 'its folder does not exist; make it or choose another path',
    errno.EINVAL: 'the file system does not accept this name; choose another one',
    errno.EIO: 'the disk reports an error; look at the disk or choose another one',
    errno.EMFILE: 'too many files are open; raise the limit (ulimit -n)',
}


# Faults that the next file meets as well, wherever it lies in the same file system.
_FAULTS_OF_ALL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class OutputError(DataError):
    """A file that cannot be written; the message is one sentence meant for the user."""

    @property
    def meets_all_files(self) -> bool:
        """Whether no other file can be written there either: the disk is full or read-only."""
        cause = self.__cause__
        return isinstance(cause, OSError) and cause.errno in _FAULTS_OF_ALL


def explain_os_error(path: str | Path, error: OSError) -> str:
    """Say in one sentence why a file cannot be written, and what helps.

    Args:
        path: the file that the user knows; not the partial one.
        error: what the operating system (or a library that passes on its error number) said.

    Returns:
        The sentence, without a full stop.
    """
    reason = _REASONS.get(error.errno or 0)
    if reason is None:
        reason = error.strerror or str(error) or type(error).__name__
    return f'{path} cannot be written: {reason}'


@contextmanager
def output_errors(path: str | Path) -> Iterator[None]:
    """Turn each ``OSError`` of the block into an `OutputError` that names ``path``.

    Args:
        path: the file or folder that the block writes.

    Raises:
        OutputError: the block raised an ``OSError``.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # nobody reads on; this is no fault of the file
    except OSError as error:
        raise OutputError(explain_os_error(path, error)) from error


def make_folder(path: str | Path) -> Path:
    """Make a folder and its parents where they are missing.

    Raises:
        OutputError: it cannot be made, or it is a file.
    """
    folder = Path(path)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_folder(path: str | Path) -> None:
    """Refuse a folder that cannot be written, before the work; makes nothing.

    Raises:
        OutputError: it, or a part of its path, is a file, or there is no permission.
    """
    folder = Path(os.path.abspath(path))
    while not os.path.lexists(folder):
        folder = folder.parent
    with output_errors(path):
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_file(path: str | Path) -> None:
    """Refuse a file that cannot be written, before the work; makes nothing.

    Raises:
        OutputError: it is a folder, or cannot be written into its folder.
    """
    with output_errors(path):
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    check_folder(Path(path).parent)


@contextmanager
def atomic_path(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """Give the name of a partial file; what the block wrote there gets the final name at its end.

    The partial name ends as the final one does (``.png``, ``.mp4``), so that libraries choose the
    same format. Where the block raises, the file that was there before stays as it was. A device or
    a pipe (``/dev/stdout``) is written directly.

    Args:
        path: the final name; its folder is made where it is missing.
        durable: also wait until the disk has the content, so that a power cut leaves the old or the
            new file. Without it the same holds for a killed process, and writing is faster.

    Yields:
        The partial file's path; the block must have closed the file at its end.

    Raises:
        OutputError: the file cannot be written.
    """
    final = Path(path)
    if _is_stream(final):
        with output_errors(path):
            yield final
        return
    make_folder(final.parent)
    with output_errors(path):
        # A symbolic link stays, the file that it names is replaced.
        target = Path(os.path.realpath(final)) if final.is_symlink() else final
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    partial = partial_name(target)
    if durable:
        remove_leftovers(target.parent)
    try:
        with output_errors(path):
            yield partial
            _publish(partial, target, durable)
    finally:
        with suppress(OSError):
            partial.unlink()


def _publish(partial: Path, target: Path, durable: bool) -> None:
    """Give a written file its final name."""
    with suppress(FileNotFoundError):
        os.chmod(partial, stat.S_IMODE(target.stat().st_mode))
    if durable:
        sync(partial)
    os.replace(partial, target)
    if durable:
        sync(target.parent)


def partial_name(target: Path) -> Path:
    """Name the file in which ``target`` is being written.

    The name has host, process and a count, so that no two writers share it and the next write can
    tell which ones a dead process left.
    """
    owner = f'{_host()}-{os.getpid()}'
    number = next(_counter)
    suffix = target.suffix[:16]
    return target.with_name(f'{_PREFIX}{owner}-{number}{PARTIAL}{suffix}')


def remove_leftovers(folder: str | Path) -> None:
    """Remove the partial files that killed processes of this host left in a folder."""
    prefix = f'{_PREFIX}{_host()}-'
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            is_partial = entry.name.startswith(prefix) and PARTIAL in entry.name
            if not is_partial:
                continue
            rest = entry.name.removeprefix(prefix)
            process = rest.split('-')[0]
            if process.isdigit() and not is_alive(int(process)):
                with suppress(OSError):
                    os.unlink(entry.path)


def is_alive(process: int) -> bool:
    """Whether a process of this host runs; also one of another user."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names of a folder."""
    if os.name == 'nt' and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems and pipes have no such call.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def open_atomic(
    path: str | Path,
    mode: str = 'wb',
    encoding: str | None = None,
    newline: str | None = None,
    durable: bool = True,
) -> Iterator[IO[Any]]:
    """Open a file to write; it gets its final name when the block ends without an error.

    Args:
        path: the final name; its folder is made where it is missing.
        mode: 'wb' or 'w'.
        encoding: of text; UTF-8 by default.
        newline: see ``open``; '' for the csv module.
        durable: see `atomic_path`.

    Raises:
        OutputError: the file cannot be written.
    """
    if 'b' not in mode and encoding is None:
        encoding = 'utf-8'
    with (
        atomic_path(path, durable) as partial,
        open(partial, mode, encoding=encoding, newline=newline) as stream,
    ):
        yield stream


def write_bytes(path: str | Path, content: bytes | memoryview, durable: bool = True) -> None:
    """Write a file in one piece.

    Args:
        path: the final name.
        content: of the file.
        durable: see `atomic_path`.

    Raises:
        OutputError: the file cannot be written.
    """
    with open_atomic(path, 'wb', durable=durable) as stream:
        stream.write(content)


def write_text(path: str | Path, text: str, encoding: str = 'utf-8', durable: bool = True) -> None:
    """Write a text file in one piece, lines as they are.

    Args:
        path: the final name.
        text: of the file.
        encoding: of the text.
        durable: see `atomic_path`.

    Raises:
        OutputError: the file cannot be written.
    """
    write_bytes(path, text.encode(encoding), durable)


def write_json(path: str | Path, content: Any, durable: bool = True, **options: Any) -> None:
    """Write JSON, in one line by default; numbers that are not finite are refused.

    Args:
        path: the final name.
        content: what ``json.dumps`` takes.
        durable: see `atomic_path`.
        options: more for ``json.dumps``, e.g. ``indent``.

    Raises:
        OutputError: the file cannot be written.
        ValueError: a number is not finite.
    """
    has_lines = 'indent' in options
    if not has_lines:
        options.setdefault('separators', (',', ':'))
    text = json.dumps(content, allow_nan=False, **options)
    if has_lines:
        text += '\n'
    write_text(path, text, durable=durable)


def write_image(
    path: str | Path, image: Image, form: str | None = None, durable: bool = False
) -> None:
    """Write a Pillow image; see `atomic_path`.

    Args:
        path: the final name.
        image: the picture.
        form: Pillow's name of the format, e.g. 'PNG'; by default the name's ending says it.
        durable: see `atomic_path`; a picture is one of many, so nobody waits for the disk.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_path(path, durable) as partial:
        image.save(partial, format=form)


def save_torch(path: str | Path, content: Any) -> None:
    """Write a checkpoint as ``torch.save`` does; see `atomic_path`.

    Args:
        path: the final name.
        content: tensors, or a dictionary with tensors.

    Raises:
        OutputError: the file cannot be written.
    """
    import torch  # most writers of this module need no torch

    # torch does not pass on the error number of a full disk, so it writes into memory.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getbuffer())


def _is_stream(path: Path) -> bool:
    """Whether a path is a device or a pipe, which cannot be replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _host() -> str:
    """This machine in eight characters that every file system accepts."""
    return f'{zlib.crc32(socket.gethostname().encode()):08x}'
