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
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray

from mmvos.apis import init_model
from mmvos.io.label_png import write_label_png
from mmvos.models import CropFeatures, PromptedSegmenter
from mmvos.ops.precision import has_fast_bfloat16
from mmvos.optimize import optimize
from mmvos.structures import FrameResult, Prompts

from .siammask.agreement import davis_videos, mean_overlap
from .siammask.plain import PlainSiamese
from .synthetic_video import OBJECTS, SyntheticVideo, make_video
from .tables import print_head, print_row
from .timing import (
    Candidate,
    Record,
    add_object_options,
    add_timing_options,
    devices_of,
    records_of,
    set_threads,
    take_turns,
)
from .vos import candidate

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
    add_object_options(parser, 2 * OBJECTS)
    add_timing_options(parser, seconds=180)


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    set_threads(args)
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
        # Random weights take as long as trained ones.
        checkpoints = args.checkpoints or [None] * len(args.configs)
        for device in devices_of(args):
            for config, checkpoint in zip(args.configs, checkpoints, strict=True):
                _measure(args, config, checkpoint, device, video, Path(folder))


def boxes_of(video: SyntheticVideo, count: int) -> list[Box]:
    """Return boxes of the objects of the video, then of their left halves.

    Args:
        video: with its objects.
        count: of the boxes, at most twice as many as there are objects.

    Returns:
        ``count`` boxes xyxy.
    """
    boxes: list[Box] = []
    for k in range(count):
        is_object = video.labels == k % OBJECTS + 1
        x, y, width, height = cv2.boundingRect(is_object.astype(np.uint8))
        right: float = x + width
        if k >= OBJECTS:
            right = x + 0.5 * width
        boxes.append((x, y, right, y + height))
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
    """Print a table of a row per precision and number of objects."""
    build = partial(_build, args, config, checkpoint, device)
    models: dict[str, PromptedSegmenter] = {}
    for precision in args.precisions:
        models[precision] = build(precision, False)
        if args.compile:
            models[f'{precision}, compiled'] = build(precision, True)

    # All rows, and the plain transcription, take turns on the same frames.
    groups: dict[str, list[Candidate]] = {}
    for name, model in models.items():
        groups[name] = []
        for count in args.objects:
            prompts = _prompts(boxes_of(video, count))
            groups[name].append(candidate(name, model, prompts, folder))
    plain: Candidate | None = None
    if not args.no_plain and device == 'cpu':
        baseline = build(None, False)
        if isinstance(baseline.tracker.features, CropFeatures):
            plain = _reference_candidate(baseline, boxes_of(video, 1), folder)
    everyone = [one for group in groups.values() for one in group]
    if plain:
        everyone.insert(0, plain)
    take_turns(everyone, records_of(video.pictures, _FRAMES), args)

    weights = Path(checkpoint).name if checkpoint else 'random weights'
    print(f'\n{Path(config).stem}, {weights}, {device}')
    _print_table(args.objects, plain, groups)
    if checkpoint:
        _agreement(args, build('float32', False), models, video)


def _print_table(
    counts: Sequence[int], plain: Candidate | None, groups: dict[str, list[Candidate]]
) -> None:
    """Print the plain transcription, and a row per model and number of objects."""
    columns = ('precision', 'objects', 'model, ms per frame', f'to {counts[0]}', 'to plain')
    print_head((*columns, 'all, ms per frame', 'frames', 'objects seen'))

    def print_one(name: str, count: int, one: Candidate, to_first: str, to_plain: str) -> None:
        """Print the row of a candidate; its times are milliseconds."""
        cells = [
            name,
            count,
            f'{1e3 * one.model_only:.1f}',
            to_first,
            to_plain,
            f'{1e3 * one.end_to_end:.1f}',
            len(one.objects),
            f'{one.mean_objects:.1f}',
        ]
        print_row(cells)

    if plain:
        print_one('plain, float32', 1, plain, '', '1.00')
    for name, group in groups.items():
        for count, one in zip(counts, group, strict=True):
            to_plain = ''
            if plain:
                # the plain one takes one object at a time
                to_plain = f'{one.model_only / plain.model_only / count:.2f}'
            to_first = f'{one.model_only / group[0].model_only:.2f}'
            print_one(name, count, one, to_first, to_plain)


def _build(
    args: argparse.Namespace,
    config: str,
    checkpoint: str | None,
    device: str,
    precision: str | None,
    compiling: bool,
) -> PromptedSegmenter:
    """Build the model, fast in a precision; without one as it is in training."""
    torch.manual_seed(0)
    model = init_model(Config.fromfile(config), checkpoint, device, args.cfg_options)
    assert isinstance(model, PromptedSegmenter), f'{config} is no config of a SiamMask'
    if precision is None:
        return model
    return optimize(model, getattr(torch, precision), compiles=compiling)


def _reference_candidate(model: PromptedSegmenter, boxes: Sequence[Box], folder: Path) -> Candidate:
    """The plain transcription, from JPEG to label PNG."""
    plain = PlainSiamese(model)

    # The first frame of the video says where the objects are.
    def load(record: Record) -> NDArray[np.uint8]:
        """Read the picture (H, W, 3) of a record."""
        image = np.asarray(cv2.imread(record['img_path'][0]), dtype=np.uint8)
        if not plain.objects:
            plain.start(image, boxes)
        return image

    def write(masks: Sequence[NDArray[np.bool_]]) -> int:
        """Write masks (H, W) as a label image, and return how many are not empty."""
        labels = np.zeros(masks[0].shape, np.uint8)
        objects = 0
        for k, mask in enumerate(masks):
            labels[mask] = k + 1
            if mask.any():
                objects += 1
        write_label_png(folder / 'labels.png', labels)
        return objects

    return Candidate('plain', load, plain.step, write, lambda: None)


def _agreement(
    args: argparse.Namespace,
    exact: PromptedSegmenter,
    models: dict[str, PromptedSegmenter],
    video: SyntheticVideo,
) -> None:
    """Print the mean IoU of each model but the exact one."""
    videos = [(list(video.pictures[: args.frames]), _prompts(boxes_of(video, OBJECTS)))]
    if args.davis:
        videos = davis_videos(Path(args.davis), args.frames)
    pipeline = Compose(get_test_pipeline_cfg(exact.cfg))

    def results_of(model: PromptedSegmenter) -> list[list[FrameResult]]:
        """Segment all videos: the results of each, frame by frame."""
        found = []
        for pictures, prompts in videos:
            frames = []
            for record in records_of(pictures, len(pictures)):
                batch = pseudo_collate([pipeline(record)])
                frames.append(model.make_frame(batch))
            found.append(list(model.run(frames, prompts)))
        return found

    # Each follows its own boxes, so errors add up as they do in use.
    expected = results_of(exact)
    frames = sum(map(len, expected))
    for name, model in models.items():
        if name == 'float32':
            continue
        pairs = zip(expected, results_of(model), strict=True)
        ious = [mean_overlap(one, other) for one, other in pairs]
        print(
            f'{name}: mean IoU of the masks with float32 {np.mean(ious):.4f}, of the worst video '
            f'{min(ious):.4f} ({len(videos)} videos, {frames} frames)',
            flush=True,
        )
