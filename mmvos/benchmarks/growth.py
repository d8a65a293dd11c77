"""Memory over long videos: what a process holds after the first frames, and after the last.

    mmvos benchmark growth                                  # all rows, 20,000 frames each
    mmvos benchmark growth --rows memory --frames 5000 --size 448
    mmvos benchmark growth --rows add-remove --engines torch onnxruntime --frames 10000

Rows: masktrack, siammask and parts follow two objects; memory is MaskTrack whose memory is full
(both objects were given in as many frames as it remembers); add-remove adds an object in each frame
and removes the oldest. Each row is a process of its own with the shipped weights; frames go through
``VideoInferencer.step``, from pixels to run lengths. What a state holds does not depend on the
resolution, so small frames and squares (``--size``, MaskTrack in torch) show the same in less time.
"""

from __future__ import annotations

import argparse
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mmvos.apis import VideoInferencer
from mmvos.apis.model_loading import load_config
from mmvos.engine.memory_hook import resident_mib
from mmvos.io.text import parse_size
from mmvos.models.masktrack.propagation import MAX_CORRECTIONS

from .tables import print_head, print_row

ROWS = ('masktrack', 'siammask', 'parts', 'memory', 'add-remove')
_PICTURES = 24  # different ones; a video goes through them forth and back
_BETWEEN = 10  # frames from one reading to the next


@dataclass(frozen=True)
class Growth:
    """Resident memory in MiB of a process.

    Attributes:
        settled: after the first frames; not a number where there were too few.
        highest, last: the highest and the last reading after that.
        frames: that were computed.
        objects: in the last frame.
        seconds: wall time of all frames.
    """

    settled: float
    highest: float
    last: float
    frames: int
    objects: int
    seconds: float


@dataclass(frozen=True)
class Task:
    """One row.

    Attributes:
        row: one of ``ROWS``.
        engine: torch or onnxruntime.
        frames: most frames.
        settle: frames before the first reading.
        seconds: after which no further frame begins.
        size: side of MaskTrack's square in pixels; None: the shipped one.
        frame_size: width and height of a frame.
        threads: of the engine.
    """

    row: str
    engine: str
    frames: int
    settle: int
    seconds: float
    size: int | None
    frame_size: tuple[int, int]
    threads: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    add = parser.add_argument
    add('--rows', nargs='+', choices=ROWS, default=ROWS, help='what to measure (default: all)')
    add(
        '--engines',
        nargs='+',
        choices=('torch', 'onnxruntime'),
        default=('torch',),
        help='of all rows but parts, which torch computes',
    )
    add('--frames', type=int, default=20000, help='of a video (default 20,000)')
    add('--settle', type=int, default=500, help='frames before the first reading (default 500)')
    add('--seconds', type=float, default=7200, help='most seconds for a row (default 7,200)')
    add(
        '--size', type=int, help="MaskTrack's square in torch, in pixels (default: the shipped 448)"
    )
    add('--frame-size', default='160x90', help='WIDTHxHEIGHT (default 160x90)')
    add('--threads', type=int, default=1, help='of a model (default 1)')


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Args:
        args: the options of ``add_arguments``.
    """
    width, height = parse_size(args.frame_size)
    print(f'frames of {width}x{height}, {args.threads} threads, settled after {args.settle} frames')
    print_head(
        ('what', 'engine', 'frames', 'objects', 'settled, MiB', 'highest', 'last', 'growth', 's')
    )

    # Each row and engine in a process of its own.
    for row in args.rows:
        engines = args.engines
        if row == 'parts':
            engines = ('torch',)
        for engine in engines:
            task = Task(
                row,
                engine,
                args.frames,
                args.settle,
                args.seconds,
                args.size,
                (width, height),
                args.threads,
            )
            _print_growth(task, _in_own_process(task))


def _print_growth(task: Task, found: Growth) -> None:
    """Print a row of the table; growth is from the first reading to the last."""
    grown = found.last - found.settled
    memory = []
    for value in (found.settled, found.highest, found.last, grown):
        memory.append(f'{value:.1f}')
    seconds = f'{found.seconds:.0f}'
    print_row((task.row, task.engine, found.frames, found.objects, *memory, seconds))


def _in_own_process(task: Task) -> Growth:
    """Measure in a fresh process, in which nothing was freed before that could be used again."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(measure, task).result()


def measure(task: Task) -> Growth:
    """Go through the frames of a row and read the memory of this process every ten frames.

    Args:
        task: the row.
    """
    torch.set_num_threads(task.threads)
    inferencer = _build(task)
    pictures = [_picture(index, task.frame_size) for index in range(_PICTURES)]
    prepare = {'memory': _give_again, 'add-remove': _replace_oldest}.get(task.row)
    inferencer.start([_box(0, task.frame_size), _box(1, task.frame_size)])

    readings: list[float] = []
    start = time.perf_counter()
    index = 0
    objects = 0
    while index < task.frames and time.perf_counter() - start < task.seconds:
        if _is_alone():
            break
        if prepare is not None and index > 0:
            prepare(inferencer, index, task.frame_size)
        result = inferencer.step(pictures[_forth_and_back(index)])
        objects = len(result.objects)
        index += 1
        if index >= task.settle and index % _BETWEEN == 0:
            readings.append(resident_mib() or 0.0)
    if not readings:
        # too few frames in the time: an empty row, for the others to be printed
        readings.append(math.nan)
    seconds = time.perf_counter() - start
    return Growth(readings[0], max(readings), readings[-1], index, objects, seconds)


def _is_alone() -> bool:
    """Whether the process that waits for the row was killed, which ends no child."""
    parent = parent_process()
    return parent is not None and not parent.is_alive()


def _build(task: Task) -> VideoInferencer:
    """Return the system of a row with its shipped weights."""
    system = task.row if task.row in ('siammask', 'parts') else 'masktrack'
    if task.engine != 'torch':
        # graphs have a size of their own
        return VideoInferencer(system, engine=task.engine)
    config = load_config(system)
    if task.size is not None and system == 'masktrack':
        config.model.tracker.size = task.size
    return VideoInferencer(config, device='cpu', engine=task.engine)


def _forth_and_back(index: int) -> int:
    """Return which picture a frame is, so that objects move by small steps."""
    place = index % (2 * _PICTURES - 2)
    return min(place, 2 * _PICTURES - 2 - place)


def _picture(index: int, frame_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw two ovals before a texture, at their places of a frame."""
    width, height = frame_size
    texture = np.random.default_rng(0).integers(90, 130, (height, width, 3), dtype=np.uint8)
    picture = np.ascontiguousarray(texture)
    for number in range(2):
        x1, y1, x2, y2 = _box(number, frame_size, index)
        center = ((x1 + x2) // 2, (y1 + y2) // 2)
        axes = ((x2 - x1) // 2, (y2 - y1) // 2)
        color = (250, 60, 40) if number == 0 else (30, 70, 240)
        cv2.ellipse(picture, center, axes, 0, 0, 360, color, cv2.FILLED)
    return picture


def _box(number: int, frame_size: tuple[int, int], index: int = 0) -> tuple[int, int, int, int]:
    """Return the box of an oval in a picture: the two move away from each other and back."""
    width, height = frame_size
    shift = index * width // (8 * _PICTURES)
    left = width // 8 + shift
    if number == 1:
        left = width * 6 // 8 - shift
    top = height // 4
    return left, top, left + width // 6, 3 * top


def _give_again(inferencer: VideoInferencer, index: int, frame_size: tuple[int, int]) -> None:
    """Give both objects in the first frames, until the memory is full."""
    if index > MAX_CORRECTIONS + 1:
        return
    width, height = frame_size
    given = np.zeros((height, width), np.uint8)
    for number in range(2):
        x1, y1, x2, y2 = _box(number, frame_size, _forth_and_back(index))
        given[y1:y2, x1:x2] = number + 1
    inferencer.add(given)


def _replace_oldest(inferencer: VideoInferencer, index: int, frame_size: tuple[int, int]) -> None:
    """Add an object and remove the one that has been there longest; ids count from 1."""
    inferencer.add([_box(index % 2, frame_size, _forth_and_back(index))])
    inferencer.remove(index)
