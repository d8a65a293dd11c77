"""From the command to the first mask: ``mmvos segment`` of a folder of frames of 854x480, until the
first PNG is complete, and until all files are.

    mmvos benchmark start                                        # all systems and engines
    mmvos benchmark start --systems masktrack --engines torch --threads 1 --rounds 9

Each time is a process of its own, and all rows take turns, so that what else the machine does meets
all of them; the numbers are medians of the rounds. CPU seconds, user and system time of all threads
of the process, hardly depend on what else the machine does where there is one thread. Those of
imports come from another process, whose imports are timed one by one; they are part of the others,
with the start of Python. A first start of each row is not counted: it compiles Python's files where
they are not compiled yet, and reads files from the disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from mmvos.apis.engine_choice import ALL_ENGINES, TORCH
from mmvos.apis.systems import SYSTEMS

from .synthetic_video import make_video
from .tables import print_head, print_row

_SYSTEMS = ('masktrack', 'siammask', 's2iammask', 'parts', 'masktrack-rcnn')
_BOX = '55,55,165,205'  # of the first object of the video
_BETWEEN = 0.002  # seconds from one look for the first mask to the next
# Times the outermost imports of each thread, whose time nobody else's work adds to.
_TIMED_IMPORTS = """
import builtins, importlib, sys, threading, time

spent = [time.process_time()]
local = threading.local()

def timed(load):
    def call(*words, **named):
        if getattr(local, 'is_inside', False):
            return load(*words, **named)
        local.is_inside = True
        began = time.thread_time()
        try:
            return load(*words, **named)
        finally:
            spent.append(time.thread_time() - began)
            local.is_inside = False
    return call

builtins.__import__ = timed(builtins.__import__)
importlib.import_module = timed(importlib.import_module)
from mmvos.cli.main import main
main()
print(sum(spent))
"""


@dataclass
class Row:
    """What is started, and what was measured.

    Attributes:
        system, engine, threads: of the command.
        first_mask, all_files: wall seconds of each round.
        first_cpu, all_cpu: CPU seconds of each round.
        imports: CPU seconds of the start of Python and of imports, of each round.
    """

    system: str
    engine: str
    threads: int
    first_mask: list[float] = field(default_factory=list)
    first_cpu: list[float] = field(default_factory=list)
    all_files: list[float] = field(default_factory=list)
    all_cpu: list[float] = field(default_factory=list)
    imports: list[float] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    add = parser.add_argument
    add('--systems', nargs='+', choices=list(SYSTEMS), default=_SYSTEMS, help='default: all')
    installed = [name for name in ALL_ENGINES if find_spec(name)]
    add(
        '--engines',
        nargs='+',
        choices=ALL_ENGINES,
        default=installed,
        help='of systems that have graphs, default: all that are installed; torch of the others',
    )
    add('--threads', type=int, nargs='+', default=(1, 2), help='default: 1 2')
    add('--rounds', type=int, default=5, help='how often each is started (default 5)')
    add('--length', type=int, default=3, help='frames of the video (default 3)')


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Args:
        args: the options of ``add_arguments``.
    """
    rows = _rows(args.systems, args.engines, args.threads)
    with tempfile.TemporaryDirectory() as folder:
        frames = _make_frames(Path(folder, 'frames'), args.length)
        for index in range(args.rounds + 1):
            # Forwards and backwards in turn; the first time nothing is kept.
            order = rows if index % 2 == 0 else rows[::-1]
            for row in order:
                out = Path(folder, f'{index}-{row.system}-{row.engine}-{row.threads}')
                kept = row if index > 0 else Row(row.system, row.engine, row.threads)
                measure(kept, frames, out)

    print(f'{args.length} frames of 854x480, one object, seconds, medians of {args.rounds}')
    columns = ('system', 'engine', 'threads', 'first mask', 'CPU', 'imports, CPU')
    print_head((*columns, 'all files', 'CPU'))
    for row in rows:
        cells = []
        for values in (row.first_mask, row.first_cpu, row.imports, row.all_files, row.all_cpu):
            cells.append(f'{statistics.median(values):.2f}')
        print_row((row.system, row.engine, row.threads, *cells))


def _rows(systems: Sequence[str], engines: Sequence[str], threads: Sequence[int]) -> list[Row]:
    """Return what can be started of what is asked for."""
    rows = []
    for system in systems:
        # torch computes all of them
        names = engines if SYSTEMS[system].has_graphs else [TORCH]
        for engine in names:
            for count in threads:
                rows.append(Row(system, engine, count))
    return rows


def _make_frames(folder: Path, length: int) -> Path:
    """Draw a video and return the folder of its first frames."""
    folder.mkdir()
    for path in make_video(folder).pictures[length:]:
        path.unlink()
    return folder


def measure(row: Row, frames: Path, out: Path) -> None:
    """Start the command of a row, once as it is and once with timed imports.

    Args:
        row: gets what was measured.
        frames: folder of the frames.
        out: of results; not there yet.

    Raises:
        CalledProcessError: the command failed.
    """
    words = ['segment', str(frames), '--system', row.system, '--engine', row.engine]
    if SYSTEMS[row.system].accepted_prompts:
        words += ['--box', _BOX]
    environment = {**os.environ, 'OMP_NUM_THREADS': str(row.threads)}
    # Compiled files are kept, as they are for users.
    environment.pop('PYTHONDONTWRITEBYTECODE', None)

    # 1. The command, whose folder of masks is looked at until there is one.
    command = [sys.executable, '-m', 'mmvos', *words, '--out', str(out)]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    while not any(out.glob('masks/*.png')) and _is_running(process.pid):
        time.sleep(_BETWEEN)
    row.first_mask.append(time.perf_counter() - began)
    row.first_cpu.append(_cpu_seconds(process.pid))
    output = process.stdout.read() if process.stdout is not None else b''
    while _is_running(process.pid):
        time.sleep(_BETWEEN)
    row.all_files.append(time.perf_counter() - began)
    row.all_cpu.append(_cpu_seconds(process.pid))
    if process.wait() != 0:
        raise subprocess.CalledProcessError(process.returncode, command, output)

    # 2. The same with timed imports.
    command = [sys.executable, '-c', _TIMED_IMPORTS, *words, '--out', f'{out}-imports']
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    row.imports.append(float(done.stdout.splitlines()[-1]))


def _is_running(process: int) -> bool:
    """Whether a child process runs; one that has ended is not waited for, so that its times can
    still be read.
    """
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None


def _cpu_seconds(process: int) -> float:
    """Return the user and system time of a process so far, of all its threads (Linux)."""
    text = Path(f'/proc/{process}/stat').read_text(encoding='ascii')
    # The name, which comes second in brackets, may hold spaces; utime and stime are the 14th and
    # 15th of all.
    numbers = text.rpartition(')')[2].split()
    ticks = int(numbers[11]) + int(numbers[12])
    return ticks / os.sysconf('SC_CLK_TCK')
