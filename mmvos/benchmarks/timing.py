"""What the benchmarks of speed have in common: their options, frames that candidates take turns on,
and the seconds that each takes.

The candidates go over the same frames in turns (A B C, C B A, ...), so that what else the machine
does meets all of them; the numbers are medians over the frames.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from torch import nn

from mmvos.models import VideoModel
from mmvos.structures import Frame, FrameResult, Prompts

Record = dict[str, list[Any]]  # what a data set gives to the pipeline, one frame
PRECISIONS = ('float32', 'bfloat16', 'float16')


def add_timing_options(parser: argparse.ArgumentParser, seconds: float) -> None:
    """Add the options of all benchmarks of speed.

    Args:
        parser: of the benchmark.
        seconds: the default of ``--seconds``.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='override config entries: key=value ...',
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=seconds,
        help=f'most seconds for one comparison (default {seconds:g})',
    )
    parser.add_argument('--threads', type=int, help='of torch (default: cores)')
    parser.add_argument(
        '--clock',
        choices=('wall', 'cpu'),
        default='wall',
        help='cpu: CPU seconds instead of seconds; with --threads 1 what else the machine does '
        'hardly matters',
    )


def add_object_options(parser: argparse.ArgumentParser, most: int) -> None:
    """Add the options of benchmarks that follow objects.

    Args:
        parser: of the benchmark.
        most: objects.
    """
    counts = [count for count in (1, 2, 4, 8, 16) if count <= most]
    parser.add_argument(
        '--precisions', nargs='+', choices=PRECISIONS, default=('float32', 'bfloat16')
    )
    parser.add_argument(
        '--objects',
        nargs='+',
        type=int,
        choices=range(1, most + 1),
        metavar='N',
        default=tuple(counts),
        help=f'numbers of objects, at most {most}',
    )
    parser.add_argument('--devices', nargs='+', help='default: cpu, and cuda where there is one')


def set_threads(args: argparse.Namespace) -> None:
    """Give torch as many threads as ``--threads`` says."""
    if args.threads:
        torch.set_num_threads(args.threads)


def clock_of(args: argparse.Namespace) -> Callable[[], float]:
    """Return the clock that ``--clock`` names."""
    return time.process_time if args.clock == 'cpu' else time.perf_counter


def devices_of(args: argparse.Namespace) -> list[str]:
    """Return the devices of ``--devices``, or those that are there."""
    if args.devices:
        return list(args.devices)
    return ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']


@dataclass
class Candidate:
    """A model with everything from a file to run lengths.

    Attributes:
        name: in the table.
        load: record of a frame -> preprocessed input.
        step: preprocessed input -> result of the frame, carrying the video's state along.
        encode: result -> number of objects, all encoded.
        synchronize: waits for the device.
        clock: seconds; ``time.process_time`` measures one thread's work on a machine that others
            use too.
        loading, modelling, encoding: seconds per frame, so far.
        objects: number of objects per frame, so far.
    """

    name: str
    load: Callable[[Record], Any]
    step: Callable[[Any], Any]
    encode: Callable[[Any], int]
    synchronize: Callable[[], None]
    clock: Callable[[], float] = time.perf_counter
    loading: list[float] = field(default_factory=list)
    modelling: list[float] = field(default_factory=list)
    encoding: list[float] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)

    def go(self, records: Sequence[Record], keep: bool = True) -> None:
        """Take the next frames of the video.

        Args:
            records: of the frames.
            keep: the seconds count.
        """
        for record in records:
            start = self.clock()
            item = self.load(record)
            loaded = self.clock()
            result = self.step(item)
            self.synchronize()
            done = self.clock()
            # A GPU has done its work before the clock is read.
            count = self.encode(result)
            end = self.clock()
            if keep:
                self.loading.append(loaded - start)
                self.modelling.append(done - loaded)
                self.encoding.append(end - done)
                self.objects.append(count)

    @property
    def end_to_end(self) -> float:
        """Median seconds per frame from file to run lengths."""
        return statistics.median(map(sum, zip(self.loading, self.modelling, self.encoding)))

    @property
    def model_only(self) -> float:
        """Median seconds per frame of the model."""
        return statistics.median(self.modelling)

    @property
    def mean_objects(self) -> float:
        """Mean number of objects per frame."""
        return statistics.fmean(self.objects)


def records_of(paths: Sequence[str | Path], count: int) -> list[Record]:
    """Return ``count`` frames of a video that goes through the pictures forth and back."""
    there = list(paths)
    back = there[-2:0:-1]
    order = there + back
    records: list[Record] = []
    for index in range(count):
        path = order[index % len(order)]
        records.append(
            dict(
                img_path=[str(path)],
                img_id=[index],
                frame_id=[index],
                video_id=[1],
                video_length=[count],
                ori_video_length=[count],
            )
        )
    return records


def model_candidate(
    name: str,
    model: VideoModel,
    config: Config,
    encode: Callable[[FrameResult], int],
    prompts: Mapping[int, Prompts] | None = None,
) -> Candidate:
    """Put one of our models into the frame loop that everything uses, ``VideoModel.run``.

    Args:
        name: in the table.
        model: for inference.
        config: with the test pipeline.
        encode: result -> number of objects, all encoded.
        prompts: by frame.
    """
    pipeline = Compose(get_test_pipeline_cfg(config))

    # The loop takes a frame when it is asked for the next result.
    waiting: list[Frame] = []

    def given() -> Iterator[Frame]:
        while True:
            yield waiting.pop()

    results = model.run(given(), prompts)

    def load(record: Record) -> Frame:
        return model.make_frame(pseudo_collate([pipeline(record)]))

    def step(frame: Frame) -> FrameResult:
        waiting.append(frame)
        return next(results)

    return Candidate(name, load, step, encode, synchronizer(model))


def synchronizer(model: nn.Module) -> Callable[[], None]:
    """Return what waits for the model's device."""
    parameter = next(model.parameters(), None)
    if parameter is not None and parameter.is_cuda:
        return torch.cuda.synchronize
    return lambda: None


def take_turns(
    candidates: Sequence[Candidate],
    records: Sequence[Record],
    args: argparse.Namespace,
    per_turn: int = 2,
) -> None:
    """Let all candidates go over the same frames, until the frames or ``--seconds`` are over.

    The first frame of each is not counted. The order changes from turn to turn.

    Args:
        candidates: their seconds are kept in them.
        records: the frames.
        args: with the options of ``add_timing_options``.
        per_turn: frames.
    """
    # The first frame, which is not counted: the devices warm up.
    for candidate in candidates:
        candidate.clock = clock_of(args)
        candidate.go(records[:1], keep=False)

    start = time.perf_counter()
    in_order = list(candidates)
    reverse_order = in_order[::-1]
    for turn, position in enumerate(range(1, len(records), per_turn)):
        frames = records[position : position + per_turn]
        order = in_order if turn % 2 == 0 else reverse_order
        for candidate in order:
            candidate.go(frames)
        if time.perf_counter() - start > args.seconds:
            return
