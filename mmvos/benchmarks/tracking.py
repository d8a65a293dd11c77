"""SiamMask from boxes: time per frame for 1 to 16 objects, beside a plain per-frame transcription
with the same weights.

    mmvos benchmark tracking  # sharp, base and FPN; float32 and bfloat16
    mmvos benchmark tracking --configs CONFIG --checkpoints CHECKPOINT --davis DATA/DAVIS --compile

The video is synthetic, see the benchmark ``vos``; objects 9 to 16 are the left halves of objects 1
to 8. "Model" is from the preprocessed tensor to run lengths; "all" is from JPEG to label PNG, one
after the other. Times are medians over all frames but the first; all rows take turns on the same
frames, so that what else the machine does meets all of them. The plain transcription
(``siammask/plain.py``) takes one object at a time; "to plain" is the share of its time for as many
objects. Weights without a checkpoint are random: the times are the same, but what is found means
nothing. With checkpoints the mean IoU of the masks with those of float32 is printed too, each
precision following its own boxes: over the synthetic video, or DAVIS' validation sequences.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray

from mmvos.apis import init_model
from mmvos.io.label_png import write_label_png
from mmvos.models import CropFeatures, PromptedSegmenter
from mmvos.ops.precision import has_fast_bfloat16
from mmvos.optimize import optimize
from mmvos.structures import Prompts

from .masktrack_rcnn.inference import Candidate, Record, records_of, take_turns
from .siammask.agreement import davis_videos, mean_overlap
from .siammask.compiled import compiled
from .siammask.plain import PlainSiamese
from .vos import SyntheticVideo, candidate, make_video

_CONFIGS = Path(__file__).resolve().parents[2] / 'configs/siammask'
_NAMES = (
    'siammask-sharp_r50_4xb16-20e_davis',
    'siammask-base_r50_4xb16-20e',
    'siammask-sharp_r50_fpn_4xb16-20e',
)
_FRAMES = 48
Box = tuple[float, float, float, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        '--configs',
        nargs='+',
        default=[str(_CONFIGS / f'{name}.py') for name in _NAMES],
        help='default: sharp, base and sharp on an FPN',
    )
    parser.add_argument(
        '--checkpoints', nargs='+', default=[], help='weights, one per config; default: random'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='override config entries: key=value ...',
    )
    parser.add_argument(
        '--precisions',
        nargs='+',
        choices=('float32', 'bfloat16', 'float16'),
        default=('float32', 'bfloat16'),
    )
    parser.add_argument(
        '--objects',
        nargs='+',
        type=int,
        choices=range(1, 17),
        metavar='N',
        default=(1, 2, 4, 8, 16),
        help='numbers of objects, at most 16',
    )
    parser.add_argument('--devices', nargs='+', help='default: cpu, and cuda where there is one')
    parser.add_argument(
        '--compile',
        action='store_true',
        help='also with torch.compile (on a CPU it needs a C++ compiler)',
    )
    parser.add_argument('--no-plain', action='store_true', help='without the plain transcription')
    parser.add_argument(
        '--davis', help="root of DAVIS-2016, for the agreement of the masks with float32's"
    )
    parser.add_argument(
        '--frames', type=int, default=20, help='of each sequence, for the agreement (default 20)'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=180,
        help='most seconds for the speed of a config on a device',
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
    if args.checkpoints and len(args.checkpoints) != len(args.configs):
        raise SystemExit(
            f'--checkpoints needs one file per config: {len(args.configs)}, not '
            f'{len(args.checkpoints)}'
        )
    instructions = 'with' if has_fast_bfloat16('cpu') else 'without'
    print(
        f'{torch.get_num_threads()} threads, {args.clock} time, torch {torch.__version__}, '
        f'{torch.backends.cpu.get_cpu_capability()} {instructions} instructions for bfloat16'
    )
    with tempfile.TemporaryDirectory() as folder:
        video = make_video(Path(folder))
        for device in args.devices or ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]:
            for config, checkpoint in zip(
                args.configs, args.checkpoints or [None] * len(args.configs), strict=True
            ):
                _measure(args, config, checkpoint, device, video, Path(folder))


def boxes_of(video: SyntheticVideo, count: int) -> list[Box]:
    """Boxes xyxy of the first objects of the video, and of the left halves of as many of them again
    as are wanted.
    """
    boxes: list[Box] = []
    for k in range(count):
        x, y, w, h = cv2.boundingRect((video.labels == k % 8 + 1).astype(np.uint8))
        boxes.append((x, y, x + (w if k < 8 else w / 2), y + h))
    return boxes


def _prompts(boxes: Sequence[Box]) -> dict[int, Prompts]:
    return {0: Prompts(tuple(range(1, len(boxes) + 1)), (None,) * len(boxes), tuple(boxes))}


def _measure(
    args: argparse.Namespace,
    config: str,
    checkpoint: str | None,
    device: str,
    video: SyntheticVideo,
    folder: Path,
) -> None:
    """A table of a row per precision and number of objects."""
    build = partial(_build, args, config, checkpoint, device)
    kinds = [
        (precision, compiling)
        for precision in args.precisions
        for compiling in (False, True)[: 1 + args.compile]
    ]
    groups: dict[str, list[Candidate]] = {}
    models: dict[str, PromptedSegmenter] = {}
    for precision, compiling in kinds:
        name = f'{precision}, compiled' if compiling else precision
        models[name] = model = build(precision, compiling)
        groups[name] = [
            candidate(name, model, _prompts(boxes_of(video, count)), folder)
            for count in args.objects
        ]
    plain: Candidate | None = None
    if not args.no_plain and device == 'cpu':
        baseline = build(None, False)
        if isinstance(baseline.tracker.features, CropFeatures):
            plain = _reference_candidate(baseline, boxes_of(video, 1), folder)
    candidates = [*([plain] if plain else []), *(one for group in groups.values() for one in group)]
    for one in candidates:
        one.clock = time.process_time if args.clock == 'cpu' else time.perf_counter
    take_turns(
        candidates,
        records_of([str(path) for path in video.pictures], _FRAMES),
        per_turn=2,
        seconds=args.seconds,
    )
    print(
        f'\n{Path(config).stem}, {Path(checkpoint).name if checkpoint else "random weights"}, '
        f'{device}'
    )
    columns = (
        'precision',
        'objects',
        'model, ms per frame',
        f'to {args.objects[0]}',
        'to plain',
        'all, ms per frame',
        'frames',
        'objects seen',
    )
    print('', '| ' + ' | '.join(columns) + ' |', '|---' * len(columns) + '|', sep='\n')
    if plain:
        print(
            f'| plain, float32 | 1 | {1e3 * plain.model_only:.1f} | | 1.00 | '
            f'{1e3 * plain.end_to_end:.1f} | '
            f'{len(plain.objects)} | {np.mean(plain.objects):.1f} |'
        )
    for name, group in groups.items():
        for count, one in zip(args.objects, group, strict=True):
            share = f'{one.model_only / plain.model_only / count:.2f}' if plain else ''
            print(
                f'| {name} | {count} | {1e3 * one.model_only:.1f} | '
                f'{one.model_only / group[0].model_only:.2f} | {share} | '
                f'{1e3 * one.end_to_end:.1f} | {len(one.objects)} | {np.mean(one.objects):.1f} |',
                flush=True,
            )
    if checkpoint:
        _agreement(args, build('float32', False), models, video)


def _build(
    args: argparse.Namespace,
    config: str,
    checkpoint: str | None,
    device: str,
    precision: str | None,
    compiling: bool,
) -> PromptedSegmenter:
    """The model, fast in a precision; without one as it is in training."""
    torch.manual_seed(0)
    model = init_model(Config.fromfile(config), checkpoint, device, args.cfg_options)
    assert isinstance(model, PromptedSegmenter), f'{config} is no config of a SiamMask'
    if precision is None:
        return model
    if not compiling:
        return optimize(model, getattr(torch, precision))
    try:
        return compiled(model, getattr(torch, precision))
    except RuntimeError as error:
        raise SystemExit(f'--compile: {error}') from error


def _reference_candidate(model: PromptedSegmenter, boxes: Sequence[Box], folder: Path) -> Candidate:
    """The plain transcription, from JPEG to label PNG."""
    plain = PlainSiamese(model)

    def load(record: Record) -> NDArray[np.uint8]:
        image = np.asarray(cv2.imread(record['img_path'][0]), dtype=np.uint8)
        if not plain.objects:
            plain.start(image, boxes)
        return image

    def write(masks: Sequence[NDArray[np.bool_]]) -> int:
        labels = np.zeros(masks[0].shape, np.uint8)
        for k, mask in enumerate(masks):
            labels[mask] = k + 1
        write_label_png(folder / 'labels.png', labels)
        return sum(bool(mask.any()) for mask in masks)

    return Candidate('plain', load, plain.step, write, lambda: None)


def _agreement(
    args: argparse.Namespace,
    exact: PromptedSegmenter,
    models: dict[str, PromptedSegmenter],
    video: SyntheticVideo,
) -> None:
    """A row of mean IoU for each model but the exact one."""
    videos = (
        davis_videos(Path(args.davis), args.frames)
        if args.davis
        else [(list(video.pictures)[: args.frames], _prompts(boxes_of(video, 8)))]
    )
    pipeline = Compose(get_test_pipeline_cfg(exact.cfg))

    def results(model: PromptedSegmenter) -> list[Any]:
        return [
            list(
                model.run(
                    (
                        model.make_frame(pseudo_collate([pipeline(record)]))
                        for record in records_of([str(path) for path in pictures], len(pictures))
                    ),
                    prompts,
                )
            )
            for pictures, prompts in videos
        ]

    expected = results(exact)
    for name, model in models.items():
        if name != 'float32':
            ious = [
                mean_overlap(one, other)
                for one, other in zip(expected, results(model), strict=True)
            ]
            print(
                f'{name}: mean IoU of the masks with float32 {np.mean(ious):.4f}, of the worst '
                f'video {min(ious):.4f} '
                f'({len(videos)} videos, {sum(map(len, expected))} frames)',
                flush=True,
            )
