"""A shipped system in torch, onnxruntime and OpenVINO: time per frame, time to the first mask,
and how far the masks agree.

    mmvos benchmark engines                                   # a video of the generator
    mmvos benchmark engines --objects 8                       # eight objects, all of which move
    mmvos benchmark engines --objects 8 --pace 8              # eight objects that move fast
    mmvos benchmark engines --objects 8 --still 6             # eight objects, six stand still
    mmvos benchmark engines --frames DIR --mask first.png     # a folder of frames of one's own
    mmvos benchmark engines --system siammask                 # SiamMask instead of MaskTrack
    mmvos benchmark engines --same-state                      # differences of one frame

All engines take turns on each frame of one process, so that what else the machine does meets all of
them. A time is from the picture in memory to run lengths. Masks are compared with those of torch in
float32: the least IoU of an object in a frame, and the mean; scores by their largest difference.
Differences grow from frame to frame: with `--same-state` each frame begins with the state of torch
in float32, so that those of one frame are seen. The start is measured in processes of their own,
from the start of Python to the first mask.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from array_api_compat import is_torch_array
from numpy.typing import NDArray

from mmvos.apis import VideoInferencer, open_source
from mmvos.apis.prompts import parse_prompts
from mmvos.io.label_png import read_label_png
from mmvos.io.stored_state import put_together, take_apart
from mmvos.onnx.engines import ENGINES
from mmvos.onnx.graph_set import SHIPPED
from mmvos.onnx.segmenter import OnnxSegmenter
from mmvos.structures import FrameResult
from mmvos.structures.rle import decode

from .synthetic_video import MOST_OBJECTS, OBJECTS, PICTURES, make_video
from .tables import print_head, print_row

_HEIGHT = 480
_WIDTH = 854
_FIRST = 'torch float32'  # what the others are compared with
_START = """
import numpy as np
from mmvos.apis import VideoInferencer
inferencer = VideoInferencer({system!r}, device={device!r}, engine={engine!r})
inferencer.start([(300, 100, 500, 300)])
inferencer.step(np.zeros(({height}, {width}, 3), np.uint8))
"""


@dataclass
class _Measured:
    """What was measured of a model.

    Attributes:
        seconds: of each frame.
        overlaps: IoU of each object of each frame with the first row's.
        score_gaps: how far its score is from the first row's.
    """

    seconds: list[float] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    score_gaps: list[float] = field(default_factory=list)

    @property
    def median_seconds(self) -> float:
        """Of a frame; the first one is warm-up."""
        return float(np.median(self.seconds[1:]))

    @property
    def mean_seconds(self) -> float:
        """Of a frame; the first one is warm-up."""
        return float(np.mean(self.seconds[1:]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    add = parser.add_argument
    # what is segmented: a video of one's own
    add('--system', choices=list(SHIPPED), default='masktrack', help='default: masktrack')
    add('--frames', type=Path, help='folder of frames; default: made from a seed')
    add('--mask', type=Path, help='label image of the first frame')
    # or one that is made
    add(
        '--objects',
        type=int,
        choices=range(1, MOST_OBJECTS + 1),
        metavar='N',
        default=1,
        help=f'of the made video, at most {MOST_OBJECTS} (default 1)',
    )
    add(
        '--pace',
        type=int,
        choices=range(1, PICTURES),
        metavar='N',
        default=1,
        help='of the made video: how many times 2 pixels a frame its objects move (default 1)',
    )
    add(
        '--still',
        type=int,
        choices=range(OBJECTS + 1),
        metavar='N',
        default=0,
        help=f'of the made video: how many of its first {OBJECTS} objects stand still (default 0)',
    )
    # what is measured, and how
    add('--graphs', type=Path, nargs='*', default=(), help='other exported models')
    add('--length', type=int, default=12, help='frames to time, at most (default 12)')
    add('--threads', type=int, default=1, help='of each engine (default 1)')
    add('--clock', choices=('wall', 'cpu'), default='wall')
    add(
        '--same-state',
        action='store_true',
        help='begin each frame of all engines with the state of torch in float32',
    )
    add('--no-start', action='store_true', help='leave out the time to start')


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Args:
        args: the options of ``add_arguments``.
    """
    with tempfile.TemporaryDirectory() as folder:
        frames, labels = _video(args, Path(folder))
        models = dict(_build(args))
        measured = _measure(models, frames, labels, args.clock, args.same_state)

    height, width = frames[0].shape[:2]
    objects = len(np.unique(labels)) - 1
    print(
        f'{args.system}, {len(frames)} frames of {width}x{height}, {objects} objects, '
        f'{args.threads} threads, {args.clock} time; medians without the first frame'
    )
    _print_table(measured)

    # The start, in processes of their own.
    if not args.no_start:
        installed = [name for name in ENGINES if find_spec(name)]
        for engine in ('torch', *installed):
            print(f'start to first mask, {engine}: {_start_seconds(args.system, engine):.2f} s')


def _measure(
    models: dict[str, VideoInferencer],
    frames: Sequence[NDArray[np.uint8]],
    labels: NDArray[np.integer],
    clock_name: str,
    has_same_state: bool,
) -> dict[str, _Measured]:
    """Let all models segment the same frames in turns.

    Args:
        models: by the name of their row.
        frames: of the video, (H, W, 3) each.
        labels: (H, W), the objects of the first frame.
        clock_name: wall or cpu.
        has_same_state: whether each frame of all begins with the state of the first row.

    Returns:
        Times and differences by the name of the row.
    """
    clock = time.process_time if clock_name == 'cpu' else time.perf_counter
    measured = {name: _Measured() for name in models}
    [given] = parse_prompts({0: labels}).values()
    states = {name: inferencer.model.init_state() for name, inferencer in models.items()}
    for index, picture in enumerate(frames):
        prompts = given if index == 0 else None
        begin = states[_FIRST]
        # Forwards and backwards in turn.
        names = list(models)
        if index % 2 == 1:
            names.reverse()
        results = {}
        for name in names:
            inferencer = models[name]
            if has_same_state and name != _FIRST:
                states[name] = _state_for(inferencer, begin)
            began = clock()
            frame = inferencer.prepare_frame(picture, index)
            step = inferencer.model.inference_step(frame, states[name], prompts)
            measured[name].seconds.append(clock() - began)
            states[name], results[name] = step
        for name, result in results.items():
            measured[name].overlaps += _overlaps(results[_FIRST], result)
            measured[name].score_gaps += _score_gaps(results[_FIRST], result)
    return measured


def _state_for(inferencer: VideoInferencer, state: Any) -> Any:
    """Give a model the state of one in torch, whose arrays become numpy's where it computes with
    these.
    """
    if not isinstance(inferencer.model, OnnxSegmenter):
        return state
    return put_together(_as_arrays(take_apart(state)))


def _as_arrays(parts: Any) -> Any:
    """Turn the tensors in what `take_apart` gave into arrays of numpy."""
    if isinstance(parts, list):
        return [_as_arrays(part) for part in parts]
    if isinstance(parts, dict):
        return {key: _as_arrays(part) for key, part in parts.items()}
    if is_torch_array(parts):
        return ['array', parts.numpy()]
    return parts


def _print_table(measured: Mapping[str, _Measured]) -> None:
    """Print a row of each model: milliseconds of a frame, and how far masks and scores agree.

    Last the mean of the milliseconds, as objects that stand still are computed in some frames only.
    """
    columns = ('engine', 'ms a frame', 'times torch', 'least IoU', 'mean IoU', 'score', 'mean ms')
    print_head(columns)
    reference = measured[_FIRST].median_seconds
    for name, row in measured.items():
        cells = [
            name,
            f'{1000 * row.median_seconds:.1f}',
            f'{reference / row.median_seconds:.2f}',
            f'{min(row.overlaps):.5f}',
            f'{np.mean(row.overlaps):.5f}',
            f'{max(row.score_gaps):.0e}',
            f'{1000 * row.mean_seconds:.1f}',
        ]
        print_row(cells)


def _build(args: argparse.Namespace) -> Iterator[tuple[str, VideoInferencer]]:
    """Make the rows, the one in torch and float32 first."""
    import torch

    from mmvos.apis.model_loading import init_model
    from mmvos.optimize import optimize

    torch.set_num_threads(args.threads)
    yield _FIRST, VideoInferencer(args.system, device='cpu', engine='torch')
    # The same weights in half precision, and in the other engines.
    half = optimize(init_model(args.system, device='cpu'), torch.bfloat16)
    yield 'torch bfloat16', VideoInferencer(half)
    for engine in ENGINES:
        if find_spec(engine) is not None:
            model = OnnxSegmenter(SHIPPED[args.system], engine, args.threads)
            yield engine, VideoInferencer(model)

    # Models that a user has exported.
    for folder in args.graphs:
        model = OnnxSegmenter(folder, threads=args.threads)
        yield f'onnxruntime {folder.name}', VideoInferencer(model)


def _video(
    args: argparse.Namespace, folder: Path
) -> tuple[list[NDArray[np.uint8]], NDArray[np.integer]]:
    """Read the frames that are named, or make some; and the objects of the first one."""
    pictures = []
    if args.frames is not None:
        labels = read_label_png(args.mask)
        frames = open_source(args.frames).frames()
        for frame in islice(frames, args.length):
            pictures.append(frame.picture)
        return pictures, labels

    drawn = OBJECTS
    if args.objects > OBJECTS:
        drawn = MOST_OBJECTS
    video = make_video(folder, args.pace, args.still, drawn)
    for path in video.pictures[: args.length]:
        picture = cv2.imread(str(path))
        pictures.append(np.asarray(picture, dtype=np.uint8))
    # So many of its objects are followed, the others are background.
    labels = np.where(video.labels <= args.objects, video.labels, 0)
    return pictures, labels


def _overlaps(expected: FrameResult, found: FrameResult) -> list[float]:
    """Return the IoU of each object's masks; two empty ones are equal."""
    values = []
    for one, other in zip(expected.objects, found.objects, strict=True):
        first = decode(one.mask)
        second = decode(other.mask)
        union = np.count_nonzero(first | second)
        overlap = 1.0
        if union:
            overlap = np.count_nonzero(first & second) / union
        values.append(overlap)
    return values


def _score_gaps(expected: FrameResult, found: FrameResult) -> list[float]:
    """Return how far each object's score is from the expected one."""
    gaps = []
    for one, other in zip(expected.objects, found.objects, strict=True):
        gaps.append(abs(one.score - other.score))
    return gaps


def _start_seconds(system: str, engine: str) -> float:
    """Return the seconds from the start of Python's work to the first mask."""
    device = 'cpu' if engine == 'torch' else None
    code = _START.format(system=system, device=device, engine=engine, height=_HEIGHT, width=_WIDTH)
    command = [sys.executable, '-c', code]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began
