"""A folder of small videos with prompts, and a model that segments them in no time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from moving_squares import picture, red_mask
from tiny_graphs import write_tiny_graphs

import mmvos
from mmvos.cli import segment

ROOT = Path(mmvos.__file__).resolve().parents[1]
PERIOD = 25  # frames after which the red square is where it was


def write_batch(folder: Path, lengths: Sequence[int]) -> list[str]:
    """Write videos v0, v1, ... of the given lengths, and what is said about them.

    Args:
        folder: gets ``videos``, ``prompts`` and ``graphs``.
        lengths: in frames.

    Returns:
        The words of the command but for --out.
    """
    write_tiny_graphs(folder / 'graphs')
    (folder / 'prompts').mkdir(parents=True)
    for number, length in enumerate(lengths):
        write_frames(folder / 'videos' / f'v{number}', length)
        cv2.imwrite(str(folder / 'prompts' / f'v{number}.png'), red_mask() * np.uint8(255))
    return [
        str(folder / 'videos'),
        '--prompts',
        str(folder / 'prompts'),
        '--graphs',
        str(folder / 'graphs'),
        '--engine',
        'onnxruntime',
        '--threads',
        '1',
        '--no-video',
    ]


def write_frames(folder: Path, length: int) -> None:
    """Write the frames of a video."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(length):
        cv2.imwrite(str(folder / f'{index:05}.png'), picture(index % PERIOD))


@contextlib.contextmanager
def kept_environment() -> Iterator[None]:
    """Put the environment back that a command changes."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def segment_here(words: Sequence[str], out: Path) -> str | None:
    """Run the command in this process; return the sentence of an error."""
    with kept_environment():
        try:
            segment.main([*words, '--out', str(out)])
        except ValueError as error:
            return str(error)
    return None


def start(
    words: Sequence[str],
    out: Path,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = ('mmvos',),
) -> subprocess.Popen[str]:
    """Start the command in a process of its own, or a program that starts it."""
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    return subprocess.Popen(
        [sys.executable, '-m', *program, 'segment', *words, '--out', str(out)],
        env={**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1', **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def results(out: Path) -> dict[str, bytes]:
    """The content of the results of all videos, by their paths."""
    found = {}
    for path in sorted(out.rglob('*')):
        if path.name == 'results.json' or path.suffix == '.png':
            found[path.relative_to(out).as_posix()] = path.read_bytes()
    return found
