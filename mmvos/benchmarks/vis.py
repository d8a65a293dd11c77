"""MaskTrack R-CNN of this project beside mmdet's own: the same weights, frames and boxes per frame,
in one run.

    mmvos benchmark vis                                      # everything, random weights
    mmvos benchmark vis --parts inference --config CONFIG --checkpoint CHECKPOINT

Parts: inference (frames per second end to end and model only, agreement of bfloat16 with float32),
peak (memory, one process per candidate), training (iterations per second), data (opening a data
set, loader), memory (a long video). Without a checkpoint the box classifier is rescaled so that
about ten boxes per frame survive; the agreement then says little. Times are medians of interleaved
rounds; ratios above 1 mean that ours is better.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmvos.models import VideoModel
from mmvos.optimize import optimize

from .masktrack_rcnn import data, memory
from .masktrack_rcnn.compared_models import build_baseline, build_ours, make_detections_realistic
from .masktrack_rcnn.inference import agreement, baseline_candidate, our_candidate, results_of
from .masktrack_rcnn.training import iteration_seconds
from .timing import (
    Candidate,
    Record,
    add_timing_options,
    clock_of,
    records_of,
    set_threads,
    take_turns,
)

_ROOT = Path(__file__).resolve().parents[2]
_PARTS = ('inference', 'peak', 'training', 'data', 'memory')
_CONTENDERS = ('mmdet-float32', 'ours-float32', 'ours-bfloat16', 'mmdet-amp', 'ours-amp')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        '--parts', nargs='+', choices=_PARTS, default=_PARTS, help='what to measure (default: all)'
    )
    config = 'configs/masktrack_rcnn/masktrack-rcnn_r50_fpn_4xb8-12e_youtubevis2019.py'
    parser.add_argument(
        '--config',
        default=str(_ROOT / config),
        help='a MaskTrack R-CNN config (default: R50, YouTube-VIS 2019)',
    )
    parser.add_argument('--checkpoint', help='trained weights for the config')
    parser.add_argument(
        '--backbone', help='weights of the backbone alone, where there is no checkpoint'
    )
    parser.add_argument(
        '--data',
        type=Path,
        help='a folder as mmvos sample-videos makes it (default: made at 640x360)',
    )
    parser.add_argument(
        '--frames', type=int, default=48, help='most frames per candidate (default 48)'
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=2,
        help='pairs of frames of a training iteration (default 2)',
    )
    parser.add_argument(
        '--memory-frames', type=int, default=5000, help='frames of the long video (default 5000)'
    )
    parser.add_argument(
        '--device', default='cpu', help='for peak and memory; inference is measured on both'
    )
    add_timing_options(parser, seconds=60)
    # for the part `peak`
    parser.add_argument('--only', choices=_CONTENDERS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    MMLogger.get_instance('benchmark', log_level='ERROR')
    MMLogger.get_current_instance().setLevel('ERROR')
    set_threads(args)
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    with tempfile.TemporaryDirectory() as folder:
        source = args.data or _make_videos(Path(folder))
        if args.only is not None:
            _one_candidate(args, config, source)
            return
        print(
            f'{Path(args.config).name}, {torch.get_num_threads()} threads, {args.clock} time, '
            f'torch {torch.__version__}'
        )
        print('| what | device | mmdet | ours | ratio |\n|---|---|---|---|---|')
        for part in args.parts:
            measure = {
                'inference': _inference,
                'peak': _peak,
                'training': _training,
                'data': _data,
                'memory': _memory,
            }[part]
            measure(args, config, source)


def _make_videos(folder: Path) -> Path:
    """Sample videos of 640 x 360."""
    options = ('--seed', '5', '--size', '640x360', '--train-videos', '4', '--val-videos', '1')
    command = [sys.executable, '-m', 'mmvos', 'sample-videos', str(folder / 'videos'), *options]
    subprocess.run(command, check=True, capture_output=True)
    return folder / 'videos'


def _row(what: str, device: str, baseline: str, ours: str, ratio: float | None = None) -> None:
    print(
        f'| {what} | {device} | {baseline} | {ours} | {"" if ratio is None else f"{ratio:.2f}"} |',
        flush=True,
    )


def _records(args: argparse.Namespace, source: Path) -> list[Record]:
    """The frames of the first validation video, forth and back."""
    videos = sorted((source / 'valid' / 'JPEGImages').iterdir())
    return records_of(sorted(videos[0].iterdir()), args.frames + 1)


def _candidate(
    name: str, args: argparse.Namespace, config: Config, records: list[Record]
) -> Candidate:
    """Builds a candidate; all have the same weights."""
    side, precision = name.split('-')
    device = 'cuda' if precision == 'amp' else args.device
    model = _our_model(args, config, records, device)
    if side == 'mmdet':
        return baseline_candidate(
            name, build_baseline(config, model), config, autocast=precision == 'amp'
        )
    dtype = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'amp': torch.float16}[precision]
    return our_candidate(name, optimize(model, dtype), config)


def _our_model(
    args: argparse.Namespace, config: Config, records: list[Record], device: str
) -> VideoModel:
    """Our model, not yet optimized; without a checkpoint its classifier is made to find about ten
    objects per frame.
    """
    model = build_ours(config, args.checkpoint, args.backbone, device)
    if args.checkpoint is None:
        load = our_candidate('', model, config).load
        make_detections_realistic(model, [load(record) for record in records[:2]])
    return model


def _inference(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Frames per second on the CPU, then on the GPU where there is one."""
    records = _records(args, source)
    for device in ('cpu', 'cuda'):
        if device == 'cuda' and not torch.cuda.is_available():
            _row('frames/s', 'GPU', 'not measured', 'not measured: no GPU here')
            continue
        here = argparse.Namespace(**{**vars(args), 'device': device})
        names = (
            _CONTENDERS[:3]
            if device == 'cpu'
            else (_CONTENDERS[0], _CONTENDERS[1], _CONTENDERS[3], _CONTENDERS[4])
        )
        candidates = [_candidate(name, here, config, records) for name in names]
        take_turns(candidates, records, args)
        for ours in (item for item in candidates if item.name.startswith('ours')):
            baseline = candidates[2] if ours.name == 'ours-amp' else candidates[0]
            _speed_rows(baseline, ours, device)
    if args.device == 'cpu':
        exact, reduced = (
            results_of(_candidate(name, args, config, records), records[:24])
            for name in _CONTENDERS[1:3]
        )
        iou, share = agreement(exact, reduced)
        _row(
            'mask IoU of bfloat16 with float32',
            'cpu',
            '',
            f'{iou:.4f} ({share:.0%} of the detections have a partner)',
        )


def _speed_rows(baseline: Candidate, ours: Candidate, device: str) -> None:
    what = f'frames/s, ours {ours.name[5:]}, mmdet {baseline.name[6:]}'
    for part, theirs, own in (
        ('JPEG to RLE', baseline.end_to_end, ours.end_to_end),
        ('model', baseline.model_only, ours.model_only),
    ):
        _row(f'{what}, {part}', device, f'{1 / theirs:.2f}', f'{1 / own:.2f}', theirs / own)
    _row(
        'objects per frame, frames',
        device,
        f'{sum(baseline.objects) / len(baseline.objects):.1f}, {len(baseline.objects)}',
        f'{sum(ours.objects) / len(ours.objects):.1f}, {len(ours.objects)}',
    )


def _peak(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Peak memory: each candidate alone in a process, 12 frames."""
    peaks: dict[str, float] = {}
    for name in _CONTENDERS[:3] if args.device == 'cpu' else _CONTENDERS[:2] + _CONTENDERS[3:]:
        options = {
            'only': name,
            'config': args.config,
            'data': source,
            'frames': 12,
            'device': args.device,
            'checkpoint': args.checkpoint,
            'backbone': args.backbone,
        }
        command = [sys.executable, '-m', 'mmvos', 'benchmark', 'vis']
        for key, value in options.items():
            command += [f'--{key}', str(value)] if value is not None else []
        command += (
            ['--cfg-options', *(f'{key}={value}' for key, value in args.cfg_options.items())]
            if args.cfg_options
            else []
        )
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks[name] = json.loads(output.splitlines()[-1])['peak']
        if name.startswith('ours'):
            baseline = peaks['mmdet-amp' if name == 'ours-amp' else 'mmdet-float32']
            _row(
                f'peak memory, MiB, {name}',
                args.device,
                f'{baseline:.0f}',
                f'{peaks[name]:.0f}',
                baseline / peaks[name],
            )


def _one_candidate(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Runs one candidate alone and prints the peak of the process (CPU) or of the device (GPU)."""
    records = _records(args, source)
    candidate = _candidate(args.only, args, config, records)
    if args.device != 'cpu':
        torch.cuda.reset_peak_memory_stats()
    candidate.go(records)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if args.device != 'cpu':
        peak = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps(dict(peak=peak)))


def _training(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Iterations per second on the CPU."""
    dataset = data.our_dataset(config, source / 'train' / 'instances.json')
    model = build_ours(config, args.checkpoint, args.backbone, 'cpu')
    seconds = iteration_seconds(
        model, config, dataset, args.batch_size, rounds=12, limit=args.seconds, clock=clock_of(args)
    )
    baseline = seconds['mmdet float32']
    for precision in ('float32', 'bfloat16'):
        ours = seconds[f'ours {precision}']
        what = f'training iterations/s, {args.batch_size} pairs, ours {precision}, mmdet float32'
        _row(what, 'cpu', f'{1 / baseline:.3f}', f'{1 / ours:.3f}', baseline / ours)


def _data(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Opening and loading."""
    with tempfile.TemporaryDirectory() as folder:
        sample = source / 'train' / 'instances.json'
        converted = data.write_coco_vid(sample, Path(folder) / 'coco_vid.json')
        ours, baseline = (
            data.our_dataset(config, sample),
            data.baseline_dataset(config, converted, sample.parent / 'JPEGImages'),
        )
        speed = data.loader_frames_per_second(ours, baseline, items=60)
        _row(
            'loader, one process, frames/s (training pairs)',
            'cpu',
            f'{speed[1]:.1f}',
            f'{speed[0]:.1f}',
            speed[0] / speed[1],
        )
        seconds = data.opening_seconds(config, sample, Path(folder))
        _row(
            'opening 2,238 videos, 3,774 objects, s',
            'cpu',
            f'{seconds[1]:.1f}',
            f'{seconds[0]:.1f}',
            seconds[1] / seconds[0],
        )


def _memory(args: argparse.Namespace, config: Config, source: Path) -> None:
    """A long video through the model and the streaming writer."""
    records = _records(args, source)[:12]
    model = _our_model(args, config, records, args.device)
    load = our_candidate('', model, config).load
    frames = [load(record) for record in records]
    optimize(model, torch.bfloat16)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        growth = memory.measure(
            model,
            memory.looped(frames, args.memory_frames),
            Path(folder) / 'results.json',
            collect=False,
        )
    _row(
        f'memory after 100 frames, highest, last of {args.memory_frames} frames, MiB',
        args.device,
        '',
        f'{growth.settled:.0f}, {growth.highest:.0f}, {growth.last:.0f}',
    )
    _row(
        'the same: objects per frame, identities, run lengths in MiB, s',
        args.device,
        '',
        f'{growth.objects:.1f}, {growth.identities}, {growth.track_bytes:.1f}, '
        f'{time.perf_counter() - start:.0f}',
    )
