"""The shipped MaskTrack in torch, onnxruntime and OpenVINO: time per frame, time to the first mask,
and how far the masks agree.

    mmvos benchmark engines                                   # two sample videos of the generator
    mmvos benchmark engines --frames DIR --mask first.png     # a folder of frames of one's own

All engines take turns on each frame of one process, so that what else the machine does meets all of
them. A time is from the picture in memory to run lengths. Masks are compared with those of torch in
float32: the least IoU of an object in a frame, and the mean. The start is measured in processes of
their own, from the start of Python to the first mask.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.apis import VideoInferencer, open_source
from mmvos.io.label_png import read_label_png
from mmvos.onnx.engines import ENGINES
from mmvos.onnx.segmenter import OnnxSegmenter
from mmvos.structures import FrameResult
from mmvos.structures.rle import decode

_HEIGHT, _WIDTH = 480, 854
_FIRST = 'torch float32'  # what the others are compared with
_START = """
import numpy as np
from mmvos.apis import VideoInferencer
inferencer = VideoInferencer('masktrack', device={device!r}, engine={engine!r})
inferencer.start([(300, 100, 500, 300)])
inferencer.step(np.zeros(({height}, {width}, 3), np.uint8))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument('--frames', type=Path, help='folder of frames; default: made from a seed')
    parser.add_argument('--mask', type=Path, help='label image of the first frame')
    parser.add_argument('--graphs', type=Path, nargs='*', default=(), help='other exported models')
    parser.add_argument('--length', type=int, default=12, help='frames to time (default 12)')
    parser.add_argument('--threads', type=int, default=1, help='of each engine (default 1)')
    parser.add_argument('--clock', choices=('wall', 'cpu'), default='wall')
    parser.add_argument('--no-start', action='store_true', help='leave out the time to start')


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        frames, labels = _video(args, Path(folder))
        models = dict(_build(args))
        clock = time.process_time if args.clock == 'cpu' else time.perf_counter
        seconds: dict[str, list[float]] = {name: [] for name in models}
        overlaps: dict[str, list[float]] = {name: [] for name in models}
        for inferencer in models.values():
            inferencer.start({0: labels})
        for index, picture in enumerate(frames):
            results = {}
            # forwards and backwards in turn
            names = list(models) if index % 2 == 0 else list(reversed(models))
            for name in names:
                began = clock()
                results[name] = models[name].step(picture)
                seconds[name].append(clock() - began)
            for name, result in results.items():
                overlaps[name] += _overlaps(results[_FIRST], result)

    height, width = frames[0].shape[:2]
    print(
        f'{len(frames)} frames of {width}x{height}, {len(np.unique(labels)) - 1} objects, '
        f'{args.threads} threads, {args.clock} time; medians without the first frame'
    )
    print(f'{"":26}{"ms a frame":>12}{"times torch":>12}{"least IoU":>11}{"mean IoU":>10}')
    reference = float(np.median(seconds[_FIRST][1:]))
    for name in models:
        median = float(np.median(seconds[name][1:]))
        print(
            f'{name:26}{1000 * median:12.1f}{reference / median:12.2f}{min(overlaps[name]):11.5f}'
            f'{np.mean(overlaps[name]):10.5f}'
        )
    if not args.no_start:
        for engine in ('torch', *(name for name in ENGINES if find_spec(name))):
            print(f'start to first mask, {engine}: {_start_seconds(engine):.2f} s')


def _build(args: argparse.Namespace) -> Iterator[tuple[str, VideoInferencer]]:
    """Make the rows, the one in torch and float32 first."""
    import torch

    from mmvos.apis.model_loading import init_model
    from mmvos.optimize import optimize

    torch.set_num_threads(args.threads)
    yield _FIRST, VideoInferencer('masktrack', device='cpu', engine='torch')
    half = optimize(init_model('masktrack', device='cpu'), torch.bfloat16)
    yield 'torch bfloat16', VideoInferencer(half)
    for engine in ENGINES:
        if find_spec(engine) is not None:
            model = OnnxSegmenter(engine=engine, threads=args.threads)
            yield engine, VideoInferencer(model)
    for folder in args.graphs:
        model = OnnxSegmenter(folder, threads=args.threads)
        yield f'onnxruntime {folder.name}', VideoInferencer(model)


def _video(
    args: argparse.Namespace, folder: Path
) -> tuple[list[NDArray[np.uint8]], NDArray[np.integer]]:
    """Read the frames that are named, or make some; and the objects of the first one."""
    if args.frames is not None:
        labels = read_label_png(args.mask)
        frames = open_source(args.frames).frames()
        return [next(frames).picture for _ in range(args.length)], labels
    from .synthetic_video import make_video

    video = make_video(folder)
    pictures = []
    for path in video.pictures[: args.length]:
        pictures.append(np.asarray(cv2.imread(str(path)), dtype=np.uint8))
    return pictures, np.where(video.labels <= 1, video.labels, 0)


def _overlaps(expected: FrameResult, found: FrameResult) -> list[float]:
    """Return the IoU of each object's masks; two empty ones are equal."""
    values = []
    for one, other in zip(expected.objects, found.objects, strict=True):
        a = decode(one.mask)
        b = decode(other.mask)
        union = np.count_nonzero(a | b)
        values.append(np.count_nonzero(a & b) / union if union else 1.0)
    return values


def _start_seconds(engine: str) -> float:
    """Return the seconds from the start of Python's work to the first mask."""
    device = 'cpu' if engine == 'torch' else None
    code = _START.format(device=device, engine=engine, height=_HEIGHT, width=_WIDTH)
    began = time.perf_counter()
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)
    return time.perf_counter() - began
