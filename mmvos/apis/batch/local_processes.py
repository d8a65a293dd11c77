"""Several processes of this machine that do the same command, each its share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmvos.io.errors import DataError

_PAUSE = 0.05  # seconds between two looks at the processes
_MOST_RESTARTS = 20
_SECONDS_TO_END = 60.0  # after an interrupt


@dataclass
class _Child:
    """A process.

    Attributes:
        rank: its number.
        process: it.
        reader: prints what it says, but for its last sentence.
        said: that sentence.
    """

    rank: int
    process: subprocess.Popen[str]
    reader: threading.Thread | None = None
    said: list[str] = field(default_factory=list)


def run_processes(
    count: int, words: Sequence[str], environment: Mapping[str, str], name: str
) -> None:
    """Run a command of mmvos in several processes, which find their shares as torchrun's do.

    A process that is killed is started again; what it worked on, another one goes on with.

    Args:
        count: how many.
        words: of the command, after ``mmvos``.
        environment: variables beside those of this process and of the shares.
        name: of the command, which its last sentence begins with.

    Raises:
        DataError: a process ended with a sentence; the first of them.
        KeyboardInterrupt: after all processes have ended.
    """

    def start(rank: int) -> _Child:
        # A process learns its share as from torchrun.
        share = {'RANK': str(rank), 'WORLD_SIZE': str(count), 'LOCAL_RANK': str(rank)}
        return _start(rank, words, {**os.environ, **environment, **share}, name)

    children = [start(rank) for rank in range(count)]
    restarts = 0
    try:
        running = list(children)
        while running:
            time.sleep(_PAUSE)
            for child in list(running):
                status = child.process.poll()
                if status is None:
                    continue
                running.remove(child)
                # A fault: the others cannot end the work either.
                if status > 0:
                    _end(running, signal.SIGTERM)
                    raise DataError(_last_words(child, status))
                # Killed, by the system or a user: another process takes its rank.
                if status < 0 and restarts < _MOST_RESTARTS:
                    restarts += 1
                    running.append(start(child.rank))
                    children.append(running[-1])
    except KeyboardInterrupt:
        _end(children, signal.SIGINT)
        raise
    finally:
        _end(children, signal.SIGKILL)


def _start(rank: int, words: Sequence[str], environment: Mapping[str, str], name: str) -> _Child:
    """Start one process."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'mmvos', *words],
        env=dict(environment),
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
    )
    child = _Child(rank, process)
    child.reader = threading.Thread(target=_pass_on, args=(child, f'{name}: '), daemon=True)
    child.reader.start()
    return child


def _pass_on(child: _Child, prefix: str) -> None:
    """Print what a process says, but keep its last sentence: all of them would say the same."""
    assert child.process.stderr is not None
    with child.process.stderr as lines:
        for line in lines:
            if line.startswith(prefix):
                child.said.append(line.removeprefix(prefix).rstrip('\n'))
            else:
                sys.stderr.write(line)


def _last_words(child: _Child, status: int) -> str:
    """What a process ended with."""
    assert child.reader is not None
    child.reader.join(_SECONDS_TO_END)
    return child.said[-1] if child.said else f'process {child.rank} ended with status {status}'


def _end(children: Sequence[_Child], number: signal.Signals) -> None:
    """Send a signal to the processes that run, and wait for their end."""
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(number)
    for child in children:
        try:
            child.process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
