"""Video object segmentation from prompts: time per frame for 1, 2, 4 and 8 objects, and memory over
a long video.

    mmvos benchmark vos  # the model that comes with the project
    mmvos benchmark vos --config configs/parts/parts_r50_fpn_davis.py
        --cfg-options model.tracker.parts=16

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
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config

from mmvos.apis import init_model
from mmvos.io.label_png import as_labels, write_label_png
from mmvos.models import VideoModel
from mmvos.optimize import optimize
from mmvos.structures import FrameResult, Prompts

from .masktrack_rcnn.memory import MIB, looped, resident
from .synthetic_video import HEIGHT, OBJECTS, PICTURES, WIDTH, SyntheticVideo, make_video
from .tables import print_head, print_row
from .timing import (
    Candidate,
    add_object_options,
    add_timing_options,
    devices_of,
    model_candidate,
    records_of,
    set_threads,
    take_turns,
)

_ROOT = Path(__file__).resolve().parents[2]
_CONFIG = _ROOT / 'configs/masktrack/masktrack_r50s16_compact.py'
_WEIGHTS = _ROOT / 'weights/masktrack_compact.safetensors'
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
        '--modes',
        nargs='*',
        help='values of model.tracker.mode (default: crop roi for a MaskPropagator, else '
        'none); none: as the config says',
    )
    parser.add_argument(
        '--frames', type=int, default=300, help='frames of the long video (default 300)'
    )
    parser.add_argument(
        '--corrections',
        type=int,
        default=0,
        help='of the long video: in how many of its first frames the objects are given again',
    )
    add_object_options(parser, OBJECTS)
    add_timing_options(parser, seconds=180)


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Args:
        args: the options of ``add_arguments``.
    """
    set_threads(args)
    # The model that comes with the project has weights; others must be given some.
    has_own_config = Path(args.config) == _CONFIG
    if args.checkpoint is None and has_own_config and _WEIGHTS.is_file():
        args.checkpoint = str(_WEIGHTS)
    if args.modes is None:
        args.modes = _modes_of(args.config)

    weights = 'random weights'
    if args.checkpoint:
        weights = Path(args.checkpoint).name
    print(
        f'{Path(args.config).name}, {weights}, {WIDTH}x{HEIGHT}, {torch.get_num_threads()} '
        f'threads, {args.clock} time, torch {torch.__version__}'
    )
    measures = {'speed': _speed, 'memory': _memory}
    with tempfile.TemporaryDirectory() as folder:
        video = make_video(Path(folder))
        for device in devices_of(args):
            for part in args.parts:
                measures[part](args, device, video, Path(folder))


def _modes_of(config: str) -> list[str]:
    """Return the modes that a config's tracker has: MaskTrack's two, else none."""
    tracker = Config.fromfile(config).model.get('tracker', {})
    if tracker.get('type') == 'mmvos.MaskPropagator':
        return ['crop', 'roi']
    return []


def build(args: argparse.Namespace, mode: str | None, precision: str, device: str) -> VideoModel:
    """Build the model in a mode and precision, for evaluation.

    Args:
        args: the options of ``add_arguments``.
        mode: of MaskTrack, crop or roi; None: that of the config.
        precision: name of a torch type.
        device: of the model.
    """
    torch.manual_seed(0)
    options = dict(args.cfg_options)
    if mode:
        options['model.tracker.mode'] = mode
    model = init_model(Config.fromfile(args.config), args.checkpoint, device, options)
    return optimize(model, getattr(torch, precision))


def candidate(name: str, model: VideoModel, prompts: dict[int, Prompts], out: Path) -> Candidate:
    """Put the model into its frame loop, from JPEG to label PNG.

    Args:
        name: in the table.
        model: for inference.
        prompts: by frame.
        out: folder of the label PNG.
    """
    return model_candidate(name, model, model.cfg, partial(_write, out), prompts)


def _write(out: Path, result: FrameResult) -> int:
    """Write the label map; return how many objects are seen."""
    write_label_png(out / 'labels.png', as_labels(result.label_map()))
    return sum(item.score > 0 for item in result.objects)


def _speed(args: argparse.Namespace, device: str, video: SyntheticVideo, folder: Path) -> None:
    """Print a row per mode, precision and number of objects."""
    groups: list[list[Candidate]] = []
    for mode in args.modes or [None]:
        for precision in args.precisions:
            model = build(args, mode, precision, device)
            name = ' | '.join([device, mode or 'as configured', precision])
            group = []
            for count in args.objects:
                group.append(candidate(name, model, video.prompts(count), folder))
            groups.append(group)
    # All take turns on the same frames.
    everyone = [one for group in groups for one in group]
    take_turns(everyone, records_of(video.pictures, 2 * PICTURES), args)

    columns = ('device', 'mode', 'precision', 'objects', 'model, ms per frame')
    print_head((*columns, f'to {args.objects[0]}', 'all, ms per frame', 'frames', 'objects seen'))
    for group in groups:
        fewest = group[0].model_only
        for count, one in zip(args.objects, group, strict=True):
            cells = [
                one.name,
                count,
                f'{1e3 * one.model_only:.1f}',
                f'{one.model_only / fewest:.2f}',
                f'{1e3 * one.end_to_end:.1f}',
                len(one.objects),
                f'{one.mean_objects:.1f}',
            ]
            print_row(cells)


def _memory(args: argparse.Namespace, device: str, video: SyntheticVideo, folder: Path) -> None:
    """Print the memory while a long video goes through the model and label images are written; two
    objects, the last precision given.
    """
    mode = None
    if args.modes:
        mode = args.modes[0]
    model = build(args, mode, args.precisions[-1], device)
    load = candidate('', model, {}, folder).load
    frames = [load(record) for record in records_of(video.pictures, 12)]
    objects = min(2, max(args.objects))
    # What is remembered of the objects is full after these frames.
    prompts = dict.fromkeys(range(args.corrections + 1), video.prompts(objects)[0])

    settle = min(_SETTLE, args.frames // 2)
    begin = time.perf_counter()
    readings = []
    results = model.run(looped(frames, args.frames), prompts)
    for index, result in enumerate(results):
        _write(folder, result)
        if index >= settle and index % 10 == 0:
            readings.append(resident())
    seconds = time.perf_counter() - begin

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    on_device = ''
    if device.startswith('cuda'):
        on_device = f'; {torch.cuda.max_memory_allocated() / MIB:.0f} MiB at most on the GPU'
    print(
        f'\n{device}: memory over {args.frames} frames, {objects} objects, {args.corrections} '
        f'corrections: {readings[0]:.0f} MiB after {settle} frames, highest '
        f'{max(readings):.0f}, last {readings[-1]:.0f}; peak of the whole process {peak:.0f} '
        f'MiB{on_device}; {seconds:.0f} s'
    )
