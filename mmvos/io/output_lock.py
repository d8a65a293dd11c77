"""One run at a time on one output: a lock that says who holds it.

The lock is a file beside (or in) the output with the owner's host, process, command and start. The
operating system holds the lock itself (``flock``) and frees it when the process ends, however it
ends, so the file of a killed process is taken over. Where a file system has no such locks, the
owner that the file names decides.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from .atomic import OutputError, is_alive, make_folder, output_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LONGEST_COMMAND = 200  # characters that a message shows
_LONGEST_FILE = 100_000  # bytes that are read of a lock's file


@dataclass(frozen=True)
class Owner:
    """Who holds a lock: host, process, command line and start (local time)."""

    host: str
    process: int
    command: str
    start: str

    def __str__(self) -> str:
        command = self.command
        if len(command) > _LONGEST_COMMAND:
            command = command[:_LONGEST_COMMAND] + '...'
        return f'process {self.process} on {self.host}, started {self.start} ({command})'


class LockedError(OutputError):
    """An output that another process writes."""


class OutputLock:
    """A lock on an output; a context manager.

    Args:
        file: the lock's file; made here, and removed at the end.
        output: what is locked, as the user calls it.

    Raises:
        LockedError: when entered, another process holds the lock.
        OutputError: when entered, the file cannot be written.
    """

    def __init__(self, file: str | Path, output: str | Path) -> None:
        self.file = Path(file)
        self.output = Path(output)
        self._descriptor: int | None = None

    def __enter__(self) -> OutputLock:
        make_folder(self.file.parent)
        while self._descriptor is None:
            self._try_to_lock()
        owner = Owner(socket.gethostname(), os.getpid(), _command(), _now())
        with output_errors(self.file):
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, json.dumps(asdict(owner)).encode())
        # A worker that outlives this process must not go on holding the lock.
        os.register_at_fork(after_in_child=self._forget)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is None:
            return
        # Removed while it is still locked: no other process can have taken it over.
        with suppress(OSError):
            self.file.unlink()
        self._forget()

    def _try_to_lock(self) -> None:
        """Lock the file; leave ``_descriptor`` None where its last owner has just removed it."""
        with output_errors(self.file):
            descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            free = _lock(descriptor)
            if free is None:  # no locks here: the file's words count
                free = not _may_run(read_owner(self.file))
            if not free:
                raise LockedError(self._refusal())
            if _is_same_file(descriptor, self.file):
                self._descriptor = descriptor
        finally:
            if self._descriptor is None:
                os.close(descriptor)

    def _refusal(self) -> str:
        owner = read_owner(self.file)
        by = str(owner) if owner is not None else 'another process'
        return (
            f'{self.output} is being written by {by}; wait until it has ended, stop it, or give '
            f'another output (where it no longer runs, remove {self.file})'
        )

    def _forget(self) -> None:
        """Close the file; in the process that locked it this frees the lock."""
        if self._descriptor is not None:
            descriptor = self._descriptor
            self._descriptor = None
            with suppress(OSError):
                os.close(descriptor)


def read_owner(file: Path) -> Owner | None:
    """Read who holds a lock; None where the file is missing, empty or damaged."""
    try:
        with open(file, 'rb') as stream:
            content = json.loads(stream.read(_LONGEST_FILE))
        return Owner(
            str(content['host']),
            int(content['process']),
            str(content['command']),
            str(content['start']),
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _lock(descriptor: int) -> bool | None:
    """Whether the lock is ours now; None where the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        return None
    return True


def _may_run(owner: Owner | None) -> bool:
    """Whether an owner may still be at work; of another host nobody can tell."""
    if owner is None:
        return False
    if owner.host != socket.gethostname():
        return True
    return owner.process != os.getpid() and is_alive(owner.process)


def _is_same_file(descriptor: int, path: Path) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _command() -> str:
    return shlex.join(sys.orig_argv)  # as the list of processes shows it


def _now() -> str:
    return time.strftime('%Y-%m-%d %H:%M:%S')
