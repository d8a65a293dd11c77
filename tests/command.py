"""Runs ``mmvos COMMAND`` in a process of its own, but without paying for the imports each time.

The processes are forked from a clean server that has torch and mmdet loaded (multiprocessing's
forkserver); the command has its own arguments, environment, output and exit status, and can be
killed.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mmvos.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / 'tests'
ENVIRONMENT = {'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join([str(ROOT), str(TESTS)])}
PRELOADED = [
    'torch',
    'mmcv.ops',
    'mmengine.runner',
    'mmdet.models',
    'mmdet.datasets',
    'mmdet.evaluation',
]


@dataclass(frozen=True)
class Finished:
    """How a command ended: exit status (negative: killed by that signal) and what it printed,
    errors included.
    """

    status: int
    output: str


def _serve(arguments: list[str], folder: str, log: str, environment: Mapping[str, str]) -> None:
    os.chdir(folder)
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    # Lines and errors come in the order in which they were written.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    # The server may have started with other threads; sums of another number of threads differ in
    # their last bits.
    torch.set_num_threads(int(environment['OMP_NUM_THREADS']))
    main(arguments)


def run_mmvos(
    name: str,
    *arguments: object,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> Finished:
    """Run ``mmvos NAME ARGUMENTS`` in a folder.

    Args:
        name: of the command; may be two words, e.g. 'weights join'.
        arguments: of the command; anything that can be written as text.
        folder: the current folder, and where the log is written.
        environment: variables beside `ENVIRONMENT`.
        timeout: in seconds.

    Raises:
        TimeoutError: it is not done after ``timeout`` seconds; it is then killed.
    """
    # the server takes over the environment of its start
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    log = folder / f'{name.replace(" ", "_")}.log'
    process = context.Process(
        target=_serve,
        args=(
            [*name.split(), *map(str, arguments)],
            str(folder),
            str(log),
            {**ENVIRONMENT, **(environment or {})},
        ),
    )
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        printed = log.read_text()[-2000:] if log.exists() else ''
        raise TimeoutError(f'{name} {arguments} is not done after {timeout} s:\n{printed}')
    return Finished(process.exitcode, log.read_text())
