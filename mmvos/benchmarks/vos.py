"""Video object segmentation from prompts: time per frame for 1, 2, 4 and 8 objects, and memory over
a long video.

    mmvos benchmark vos  # the model that comes with the project
    mmvos benchmark vos --config configs/parts/parts_r50_fpn_davis.py --cfg-options
    model.tracker.parts=16

The video is synthetic: textured ovals that move over a textured background, 854 x 480, as JPEGs.
"Model" is from the preprocessed tensor to run lengths; "all" is from JPEG to label PNG, one after
the other. Times are medians over all frames but the first. All rows take turns on the same frames,
so that what else the machine does meets all of them. Without a checkpoint the weights are random:
the times are the same, but what is found means nothing.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray

from mmvos.apis import init_model
from mmvos.io.label_png import as_labels, write_label_png
from mmvos.models import VideoModel
from mmvos.optimize import optimize
from mmvos.structures import Frame, FrameResult, Prompts

from .masktrack_rcnn.inference import Candidate, Record, records_of, take_turns
from .masktrack_rcnn.memory import MIB, looped, resident

_ROOT = Path(__file__).resolve().parents[2]
_CONFIG = _ROOT / 'configs/masktrack/masktrack_r50s16_compact.py'
_WEIGHTS = _ROOT / 'weights/masktrack_compact.safetensors'
_HEIGHT, _WIDTH = 480, 854
_PICTURES = 24  # the video goes through them forth and back
_MOST_OBJECTS = 8
_SETTLE = 100  # frames before memory is read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        '--parts',
        nargs='+',
        choices=('speed', 'memory'),
        default=('speed', 'memory'),
        help='default: both',
    )
    parser.add_argument(
        '--config', default=str(_CONFIG), help='default: the model that comes with the project'
    )
    parser.add_argument(
        '--checkpoint',
        help='weights for the config; default: those of the project for its config, else random',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='override config entries: key=value ...',
    )
    parser.add_argument(
        '--modes',
        nargs='*',
        help='values of model.tracker.mode (default: crop roi for a MaskPropagator, else '
        'none); none: as the config says',
    )
    parser.add_argument(
        '--precisions',
        nargs='+',
        choices=('float32', 'bfloat16', 'float16'),
        default=('float32', 'bfloat16'),
    )
    parser.add_argument(
        '--objects', nargs='+', type=int, default=(1, 2, 4, 8), help='numbers of objects, at most 8'
    )
    parser.add_argument('--devices', nargs='+', help='default: cpu, and cuda where there is one')
    parser.add_argument(
        '--seconds',
        type=float,
        default=180,
        help='most seconds for the speed of a device (default 180)',
    )
    parser.add_argument(
        '--frames', type=int, default=300, help='frames of the long video (default 300)'
    )
    parser.add_argument('--threads', type=int, help='of torch (default: cores)')
    parser.add_argument(
        '--clock',
        choices=('wall', 'cpu'),
        default='wall',
        help='cpu: CPU seconds instead of seconds; with --threads 1 what else the machine does '
        'hardly matters',
    )


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    torch.set_num_threads(args.threads or torch.get_num_threads())
    if args.checkpoint is None and Path(args.config) == _CONFIG and _WEIGHTS.is_file():
        args.checkpoint = str(_WEIGHTS)
    if args.modes is None:
        tracker = Config.fromfile(args.config).model.get('tracker', {})
        args.modes = ['crop', 'roi'] if tracker.get('type') == 'mmvos.MaskPropagator' else []
    weights = Path(args.checkpoint).name if args.checkpoint else 'random weights'
    print(
        f'{Path(args.config).name}, {weights}, {_WIDTH}x{_HEIGHT}, {torch.get_num_threads()} '
        f'threads, {args.clock} time, torch '
        f'{torch.__version__}'
    )
    with tempfile.TemporaryDirectory() as folder:
        video = make_video(Path(folder))
        for device in args.devices or ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]:
            for part in args.parts:
                dict(speed=_speed, memory=_memory)[part](args, device, video, Path(folder))


@dataclass(frozen=True)
class SyntheticVideo:
    """Pictures on disk, and the label map (H, W) of the first one."""

    pictures: tuple[Path, ...]
    labels: NDArray[np.uint8]

    def prompts(self, objects: int) -> dict[int, Prompts]:
        """The masks of the first objects in frame 0."""
        ids = tuple(range(1, objects + 1))
        return {0: Prompts(ids, tuple(self.labels == i for i in ids), (None,) * objects)}


def make_video(folder: Path) -> SyntheticVideo:
    """Draws eight ovals of about 110 x 150 pixels, each with its own texture, that move by about
    two pixels a frame.
    """
    rng = np.random.default_rng(0)
    background, *textures = (_texture(rng) for _ in range(1 + _MOST_OBJECTS))
    pictures, first = [], np.zeros((_HEIGHT, _WIDTH), np.uint8)
    for index in range(_PICTURES):
        image = background.copy()
        for k, texture in enumerate(textures):
            mask = np.zeros((_HEIGHT, _WIDTH), np.uint8)
            center = (
                110 + 205 * (k % 4) + 3 * index * (1 if k % 2 else -1) // 2,
                130 + 220 * (k // 4) + index,
            )
            cv2.ellipse(mask, center, (55, 75), 10 * k, 0, 360, 1, -1)
            image[mask > 0] = texture[mask > 0]
            if index == 0:
                first[mask > 0] = k + 1
        pictures.append(folder / f'{index:05d}.jpg')
        cv2.imwrite(str(pictures[-1]), image)
    return SyntheticVideo(tuple(pictures), first)


def _texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3): one color with smooth noise."""
    noise = rng.normal(0, 45, (_HEIGHT // 12, _WIDTH // 12, 1)) + rng.integers(40, 216, 3)
    texture = cv2.resize(
        np.clip(noise, 0, 255).astype(np.uint8), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(texture, np.uint8)


def build(args: argparse.Namespace, mode: str | None, precision: str, device: str) -> VideoModel:
    """The model in a mode and precision, for evaluation."""
    torch.manual_seed(0)
    options = {**args.cfg_options, **({'model.tracker.mode': mode} if mode else {})}
    model = init_model(Config.fromfile(args.config), args.checkpoint, device, options)
    return optimize(model, getattr(torch, precision))


def candidate(name: str, model: VideoModel, prompts: dict[int, Prompts], out: Path) -> Candidate:
    """The model in its frame loop, from JPEG to label PNG."""
    pipeline = Compose(get_test_pipeline_cfg(model.cfg))
    waiting: list[Frame] = []

    def given() -> Iterator[Frame]:
        while True:
            yield waiting.pop()

    results = model.run(given(), prompts)

    def step(frame: Frame) -> FrameResult:
        waiting.append(frame)
        return next(results)

    def load(record: Record) -> Frame:
        return model.make_frame(pseudo_collate([pipeline(record)]))

    synchronize = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    return Candidate(name, load, step, partial(_write, out), synchronize)


def _write(out: Path, result: FrameResult) -> int:
    """Writes the label map; returns how many objects are seen."""
    write_label_png(out / 'labels.png', as_labels(result.label_map()))
    return sum(item.score > 0 for item in result.objects)


def _speed(args: argparse.Namespace, device: str, video: SyntheticVideo, folder: Path) -> None:
    """A row per mode, precision and number of objects."""
    groups: list[list[Candidate]] = []
    for mode in args.modes or [None]:
        for precision in args.precisions:
            model = build(args, mode, precision, device)
            name = ' | '.join([device, mode or 'as configured', precision])
            groups.append(
                [candidate(name, model, video.prompts(count), folder) for count in args.objects]
            )
    candidates = [one for group in groups for one in group]
    for one in candidates:
        one.clock = time.process_time if args.clock == 'cpu' else time.perf_counter
    take_turns(
        candidates,
        records_of([str(path) for path in video.pictures], 2 * _PICTURES),
        per_turn=2,
        seconds=args.seconds,
    )
    columns = (
        'device',
        'mode',
        'precision',
        'objects',
        'model, ms per frame',
        f'to {args.objects[0]}',
        'all, ms per frame',
        'frames',
        'objects seen',
    )
    print('', '| ' + ' | '.join(columns) + ' |', '|---' * len(columns) + '|', sep='\n')
    for group in groups:
        for count, one in zip(args.objects, group, strict=True):
            print(
                f'| {one.name} | {count} | {1e3 * one.model_only:.1f} | '
                f'{one.model_only / group[0].model_only:.2f} | '
                f'{1e3 * one.end_to_end:.1f} | {len(one.objects)} | {np.mean(one.objects):.1f} |',
                flush=True,
            )


def _memory(args: argparse.Namespace, device: str, video: SyntheticVideo, folder: Path) -> None:
    """Memory while a long video goes through the model and label images are written; two objects,
    lowest precision given.
    """
    model = build(args, (args.modes or [None])[0], args.precisions[-1], device)
    load = candidate('', model, {}, folder).load
    frames = [load(record) for record in records_of([str(path) for path in video.pictures], 12)]
    objects = min(2, max(args.objects))
    begin = time.perf_counter()
    readings = []
    settle = min(_SETTLE, args.frames // 2)
    for index, result in enumerate(model.run(looped(frames, args.frames), video.prompts(objects))):
        _write(folder, result)
        if index >= settle and index % 10 == 0:
            readings.append(resident())
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    on_device = (
        f'; {torch.cuda.max_memory_allocated() / MIB:.0f} MiB at most on the GPU'
        if device.startswith('cuda')
        else ''
    )
    print(
        f'\n{device}: memory over {args.frames} frames, {objects} objects: {readings[0]:.0f} MiB '
        f'after {settle} frames, '
        f'highest {max(readings):.0f}, last {readings[-1]:.0f}; peak of the whole process '
        f'{peak:.0f} MiB{on_device}; '
        f'{seconds:.0f} s'
    )
