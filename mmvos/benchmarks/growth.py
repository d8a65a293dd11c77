"""Memory over long videos and a long training: what a process holds after the first frames or
iterations, and after the last.

    mmvos benchmark growth                                  # all rows, 20,000 frames each
    mmvos benchmark growth --rows memory --frames 5000 --size 448
    mmvos benchmark growth --rows add-remove --engines torch onnxruntime --frames 10000
    mmvos benchmark growth --rows training --iterations 2000 --curve

Rows: masktrack, siammask and parts follow two objects; memory is MaskTrack whose memory is full
(both objects were given in as many frames as it remembers); add-remove adds an object in each frame
and removes the oldest; training is one of MaskTrack R-CNN (ResNet-50, the shipped runtime, pairs of
frames that are made up, another size each), and training-kept the same without the hook that
returns freed memory. Each row is a process of its own with the shipped weights; frames go through
``VideoInferencer.step``, from pixels to run lengths. What a state holds does not depend on the
resolution, so small frames and squares (``--size``, MaskTrack in torch) show the same in less time.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mmvos.apis import VideoInferencer
from mmvos.apis.model_loading import load_config
from mmvos.engine.memory_hook import resident_mib
from mmvos.io.text import parse_size
from mmvos.models.masktrack.state import MAX_CORRECTIONS

from .masktrack_rcnn import short_training
from .tables import print_head, print_row

_TRAININGS = ('training', 'training-kept')
ROWS = ('masktrack', 'siammask', 'parts', 'memory', 'add-remove', *_TRAININGS)
_PICTURES = 24  # different ones; a video goes through them forth and back
_BETWEEN = 10  # frames or iterations from one reading to the next
_CURVE = 10  # parts of a row, of each of which the curve has the highest reading


@dataclass(frozen=True)
class Growth:
    """Resident memory in MiB of a process.

    Attributes:
        readings: after the first frames, in their order; one that is not a number where there were
            too few.
        frames: that were computed, or iterations.
        objects: in the last frame.
        seconds: wall time of all frames.
    """

    readings: tuple[float, ...]
    frames: int
    objects: int
    seconds: float

    @property
    def settled(self) -> float:
        """The first reading."""
        return self.readings[0]

    @property
    def highest(self) -> float:
        """The highest reading."""
        return max(self.readings)

    @property
    def last(self) -> float:
        """The last reading."""
        return self.readings[-1]

    @property
    def curve(self) -> list[float]:
        """The highest reading of each of `_CURVE` parts of the same length."""
        parts = np.array_split(np.array(self.readings), min(_CURVE, len(self.readings)))
        return [float(part.max()) for part in parts]


@dataclass(frozen=True)
class Task:
    """One row.

    Attributes:
        row: one of ``ROWS``.
        engine: torch or onnxruntime.
        frames: most frames, or iterations.
        settle: frames or iterations before the first reading.
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
    # what is measured
    add('--rows', nargs='+', choices=ROWS, default=ROWS, help='what to measure (default: all)')
    add(
        '--engines',
        nargs='+',
        choices=('torch', 'onnxruntime'),
        default=('torch',),
        help='of all rows but parts and the trainings, which torch computes',
    )
    # for how long
    add('--frames', type=int, default=20000, help='of a video (default 20,000)')
    add('--iterations', type=int, default=2000, help='of a training (default 2,000)')
    add(
        '--settle',
        type=int,
        default=500,
        help='frames or iterations before the first reading (default 500)',
    )
    add(
        '--curve',
        action='store_true',
        help=f'also print the highest reading of each of {_CURVE} parts of a row',
    )
    # until when, on what, with what
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
        frames = args.frames
        if row == 'parts' or row in _TRAININGS:
            engines = ('torch',)
        if row in _TRAININGS:
            frames = args.iterations
        for engine in engines:
            task = Task(
                row,
                engine,
                frames,
                args.settle,
                args.seconds,
                args.size,
                (width, height),
                args.threads,
            )
            found = _in_own_process(task)
            _print_growth(task, found)
            if args.curve:
                print('curve:', *(f'{value:.0f}' for value in found.curve), flush=True)


def _print_growth(task: Task, found: Growth) -> None:
    """Print a row of the table; growth is from the first reading to the last."""
    # what was computed, memory in MiB, wall time
    cells = [task.row, task.engine, found.frames, found.objects]
    grown = found.last - found.settled
    for value in (found.settled, found.highest, found.last, grown):
        cells.append(f'{value:.1f}')
    cells.append(f'{found.seconds:.0f}')
    print_row(cells)


def _in_own_process(task: Task) -> Growth:
    """Measure in a fresh process, in which nothing was freed before that could be used again."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(measure, task).result()


def measure(task: Task) -> Growth:
    """Go through the frames or iterations of a row and read the memory of this process every ten.

    Args:
        task: the row.
    """
    torch.set_num_threads(task.threads)
    readings = _Readings(task)
    if task.row in _TRAININGS:
        with tempfile.TemporaryDirectory() as folder:
            returns_memory = task.row != 'training-kept'
            config = short_training.training_config(task.frames, Path(folder), returns_memory)
            short_training.train(config, readings.take)
        return readings.growth(short_training.OBJECTS)

    # A video.
    inferencer = _build(task)
    pictures = [_picture(index, task.frame_size) for index in range(_PICTURES)]
    prepare = {'memory': _give_again, 'add-remove': _replace_oldest}.get(task.row)
    inferencer.start([_box(0, task.frame_size), _box(1, task.frame_size)])
    objects = 0
    goes_on = readings.take(0)
    while goes_on and readings.done < task.frames:
        index = readings.done
        if prepare is not None and index > 0:
            prepare(inferencer, index, task.frame_size)
        result = inferencer.step(pictures[_forth_and_back(index)])
        objects = len(result.objects)
        goes_on = readings.take(index + 1)
    return readings.growth(objects)


class _Readings:
    """What a process held, read as a row goes on.

    Args:
        task: the row.

    Attributes:
        done: frames or iterations.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.done = 0
        self._values: list[float] = []
        self._start = time.perf_counter()

    def take(self, done: int) -> bool:
        """Read the memory where it is time, and return whether to go on.

        Args:
            done: frames or iterations so far.
        """
        self.done = done
        if done >= max(self.task.settle, 1) and done % _BETWEEN == 0:
            self._values.append(resident_mib() or 0.0)
        return self._seconds() < self.task.seconds and not _is_alone()

    def growth(self, objects: int) -> Growth:
        """Return what was read; too few frames in the time give an empty row.

        Args:
            objects: in the last frame.
        """
        values = self._values or [math.nan]
        return Growth(tuple(values), self.done, objects, self._seconds())

    def _seconds(self) -> float:
        """Since the row began."""
        return time.perf_counter() - self._start


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
    # the texture
    width, height = frame_size
    random = np.random.default_rng(0)
    texture = random.integers(90, 130, (height, width, 3), dtype=np.uint8)
    picture = np.ascontiguousarray(texture)
    # an oval in each box
    colors = [(250, 60, 40), (30, 70, 240)]
    for number, color in enumerate(colors):
        x1, y1, x2, y2 = _box(number, frame_size, index)
        center = ((x1 + x2) // 2, (y1 + y2) // 2)
        axes = ((x2 - x1) // 2, (y2 - y1) // 2)
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
