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
from mmvos.ops.precision import choose_dtype
from mmvos.optimize import optimize

from .masktrack_rcnn import data, memory
from .masktrack_rcnn.compared_models import build_baseline, build_ours, make_detections_realistic
from .masktrack_rcnn.inference import agreement, baseline_candidate, our_candidate, results_of
from .masktrack_rcnn.training import iteration_seconds
from .tables import print_head, print_row
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
_CANDIDATES = ('mmdet-float32', 'ours-float32', 'ours-bfloat16', 'mmdet-amp', 'ours-amp')


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
    parser.add_argument('--only', choices=_CANDIDATES, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Args:
        args: the options of ``add_arguments``.
    """
    MMLogger.get_instance('benchmark', log_level='ERROR')
    MMLogger.get_current_instance().setLevel('ERROR')
    set_threads(args)
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    measures = {
        'inference': _inference,
        'peak': _peak,
        'training': _training,
        'data': _data,
        'memory': _memory,
    }
    with tempfile.TemporaryDirectory() as folder:
        source = args.data or _make_videos(Path(folder))
        # A process that was started to be measured alone.
        if args.only is not None:
            _one_candidate(args, config, source)
            return
        print(
            f'{Path(args.config).name}, {torch.get_num_threads()} threads, {args.clock} time, '
            f'torch {torch.__version__}'
        )
        print_head(('what', 'device', 'mmdet', 'ours', 'ratio'))
        for part in args.parts:
            measures[part](args, config, source)


def _make_videos(folder: Path) -> Path:
    """Make sample videos of 640 x 360 in a subfolder, which is returned."""
    target = folder / 'videos'
    command = [sys.executable, '-m', 'mmvos', 'sample-videos', str(target)]
    command += ['--seed', '5', '--size', '640x360']
    command += ['--train-videos', '4', '--val-videos', '1']
    subprocess.run(command, check=True, capture_output=True)
    return target


def _row(what: str, device: str, baseline: str, ours: str, ratio: float | None = None) -> None:
    """Print a line of the table; without a ratio its cell stays empty."""
    print_row((what, device, baseline, ours, '' if ratio is None else f'{ratio:.2f}'))


def _records(args: argparse.Namespace, source: Path) -> list[Record]:
    """The frames of the first validation video, forth and back."""
    videos = sorted((source / 'valid' / 'JPEGImages').iterdir())
    return records_of(sorted(videos[0].iterdir()), args.frames + 1)


def _candidate(
    name: str, args: argparse.Namespace, config: Config, records: list[Record]
) -> Candidate:
    """Build a candidate; all have the same weights.

    Args:
        name: one of ``_CANDIDATES``, the project and the precision.
        args: the options of ``add_arguments``.
        config: of our model.
        records: of frames, on which random weights are adapted.
    """
    side, precision = name.split('-')
    with_autocast = precision == 'amp'
    device = 'cuda' if with_autocast else args.device
    model = _our_model(args, config, records, device)
    if side == 'mmdet':
        baseline = build_baseline(config, model)
        return baseline_candidate(name, baseline, config, autocast=with_autocast)
    dtypes = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'amp': torch.float16}
    fast = optimize(model, dtypes[precision])
    return our_candidate(name, fast, config)


def _our_model(
    args: argparse.Namespace, config: Config, records: list[Record], device: str
) -> VideoModel:
    """Our model, not yet optimized; without a checkpoint its classifier is made to find about ten
    objects per frame.
    """
    model = build_ours(config, args.checkpoint, args.backbone, device)
    if args.checkpoint is None:
        load = our_candidate('', model, config).load
        frames = [load(record) for record in records[:2]]
        make_detections_realistic(model, frames)
    return model


def _inference(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Frames per second on the CPU, then on the GPU where there is one."""
    records = _records(args, source)
    for device in ('cpu', 'cuda'):
        if device == 'cuda' and not torch.cuda.is_available():
            _row('frames/s', 'GPU', 'not measured', 'not measured: no GPU here')
            continue
        here = argparse.Namespace(**{**vars(args), 'device': device})
        candidates = {}
        for name in _candidates_on(device):
            candidates[name] = _candidate(name, here, config, records)
        take_turns(list(candidates.values()), records, args)
        for name, ours in candidates.items():
            if name.startswith('ours'):
                _speed_rows(candidates[_baseline_of(name)], ours, device)

    # How far the masks of half precision are those of float32.
    if args.device == 'cpu':
        exact = results_of(_candidate('ours-float32', args, config, records), records[:24])
        reduced = results_of(_candidate('ours-bfloat16', args, config, records), records[:24])
        iou, share = agreement(exact, reduced)
        _row(
            'mask IoU of bfloat16 with float32',
            'cpu',
            '',
            f'{iou:.4f} ({share:.0%} of the detections have a partner)',
        )


def _candidates_on(device: str) -> list[str]:
    """Return what is compared on a device: half precision is bfloat16 on a CPU, else autocast."""
    left_out = 'amp' if device == 'cpu' else 'bfloat16'
    return [name for name in _CANDIDATES if not name.endswith(left_out)]


def _baseline_of(name: str) -> str:
    """Return which candidate of mmdet one of ours is compared with."""
    return 'mmdet-amp' if name == 'ours-amp' else 'mmdet-float32'


def _speed_rows(baseline: Candidate, ours: Candidate, device: str) -> None:
    """Print a row per part of the way from file to run lengths, and the objects of a frame."""
    our_precision = ours.name.removeprefix('ours-')
    their_precision = baseline.name.removeprefix('mmdet-')
    what = f'frames/s, ours {our_precision}, mmdet {their_precision}'
    parts = {
        'JPEG to RLE': (baseline.end_to_end, ours.end_to_end),
        'model': (baseline.model_only, ours.model_only),
    }
    for part, (their_seconds, our_seconds) in parts.items():
        # Frames per second; the ratio is of seconds, so above 1 ours is faster.
        their_speed = f'{1 / their_seconds:.2f}'
        our_speed = f'{1 / our_seconds:.2f}'
        ratio = their_seconds / our_seconds
        _row(f'{what}, {part}', device, their_speed, our_speed, ratio)
    _row(
        'objects per frame, frames',
        device,
        f'{baseline.mean_objects:.1f}, {len(baseline.objects)}',
        f'{ours.mean_objects:.1f}, {len(ours.objects)}',
    )


def _peak(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Peak memory: each candidate alone in a process, 12 frames."""
    peaks: dict[str, float] = {}
    for name in _candidates_on(args.device):
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
            if value is not None:
                command += [f'--{key}', str(value)]
        if args.cfg_options:
            command.append('--cfg-options')
            command += [f'{key}={value}' for key, value in args.cfg_options.items()]
        # The last line that the process prints is its peak.
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        last_line = done.stdout.splitlines()[-1]
        peaks[name] = json.loads(last_line)['peak']
        if name.startswith('ours'):
            theirs = peaks[_baseline_of(name)]
            ours = peaks[name]
            what = f'peak memory, MiB, {name}'
            _row(what, args.device, f'{theirs:.0f}', f'{ours:.0f}', theirs / ours)


def _one_candidate(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Run one candidate alone and print the peak of the process (CPU) or of the device (GPU)."""
    records = _records(args, source)
    candidate = _candidate(args.only, args, config, records)
    on_gpu = args.device != 'cpu'
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    candidate.go(records)
    if on_gpu:
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(peak=peak)))


def _training(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Print iterations per second on the CPU."""
    dataset = data.our_dataset(config, source / 'train' / 'instances.json')
    model = build_ours(config, args.checkpoint, args.backbone, 'cpu')
    seconds = iteration_seconds(
        model,
        config,
        dataset,
        args.batch_size,
        rounds=12,
        limit=args.seconds,
        clock=clock_of(args),
    )
    their_seconds = seconds['mmdet float32']
    # What optim_wrapper.dtype=auto takes on this CPU is one of these, once more.
    chosen = str(choose_dtype('auto', 'cpu')).removeprefix('torch.')
    for precision in ('float32', 'bfloat16', f'auto ({chosen} here)'):
        our_seconds = seconds.get(f'ours {precision}', seconds[f'ours {chosen}'])
        what = f'training iterations/s, {args.batch_size} pairs, ours {precision}, mmdet float32'
        their_speed = f'{1 / their_seconds:.3f}'
        our_speed = f'{1 / our_seconds:.3f}'
        _row(what, 'cpu', their_speed, our_speed, their_seconds / our_seconds)


def _data(args: argparse.Namespace, config: Config, source: Path) -> None:
    """Opening and loading."""
    with tempfile.TemporaryDirectory() as folder:
        # the same data for both
        sample = source / 'train' / 'instances.json'
        converted = data.write_coco_vid(sample, Path(folder) / 'coco_vid.json')
        ours = data.our_dataset(config, sample)
        baseline = data.baseline_dataset(config, converted, sample.parent / 'JPEGImages')
        # loading
        our_speed, their_speed = data.loader_frames_per_second(ours, baseline, items=60)
        _row(
            'loader, one process, frames/s (training pairs)',
            'cpu',
            f'{their_speed:.1f}',
            f'{our_speed:.1f}',
            our_speed / their_speed,
        )
        # opening
        our_seconds, their_seconds = data.opening_seconds(config, sample, Path(folder))
        _row(
            'opening 2,238 videos, 3,774 objects, s',
            'cpu',
            f'{their_seconds:.1f}',
            f'{our_seconds:.1f}',
            their_seconds / our_seconds,
        )


def _memory(args: argparse.Namespace, config: Config, source: Path) -> None:
    """A long video through the model and the streaming writer."""
    records = _records(args, source)[:12]
    model = _our_model(args, config, records, args.device)
    load = our_candidate('', model, config).load
    frames = [load(record) for record in records]
    optimize(model, torch.bfloat16)

    # The frames go forth and back until there are enough.
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        long_video = memory.looped(frames, args.memory_frames)
        out = Path(folder) / 'results.json'
        growth = memory.measure(model, long_video, out, collect=False)
    seconds = time.perf_counter() - start
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
        f'{growth.objects:.1f}, {growth.identities}, {growth.track_bytes:.1f}, {seconds:.0f}',
    )
