"""The search of a tracker's settings: grids of values, their scores on DAVIS or VOT, and the table
that a stopped search goes on with.
"""

from __future__ import annotations

import ast
import itertools
import json
import math
import os
import random
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mmvos.apis import init_model
from mmvos.engine import VOTTrackerAdapter
from mmvos.evaluation import DAVISMetric
from mmvos.evaluation.vot import (
    INTERVALS,
    Interval,
    VOTDataset,
    measure,
    run_supervised,
    summarize,
    trajectory,
)
from mmvos.io.atomic import output_errors, write_bytes
from mmvos.io.errors import DataError
from mmvos.io.label_png import as_labels
from mmvos.models import VideoModel
from mmvos.ops.precision import choose_dtype
from mmvos.optimize import optimize
from mmvos.registry import DATASETS

OBJECTIVES = {'davis': 'J&F_mean', 'vot': 'EAO'}
LOWER_IS_BETTER = {'robustness', 'lost_number', 'toolkit_robustness'}
UNDEFINED = -1.0
_SHOWN = 10
_MAX_VALUES = 10_000  # of one range
Options = dict[str, Any]
Metrics = dict[str, float]


@dataclass(frozen=True)
class Trial:
    """What does not change in a search: model and data.

    Attributes:
        config, checkpoint: files.
        overrides: config entries that are the same for all.
        davis, vot: root of the data; one of them is None.
        split, year, prompt: of DAVIS; year also of VOT.
        interval: of EAO, instead of the year's.
        precision: name of a dtype, or 'auto'.
    """

    config: str
    checkpoint: str
    overrides: Options
    davis: str | None
    vot: str | None
    split: str
    year: int
    prompt: str
    interval: tuple[int, int] | None
    precision: str


def parse_grid(entries: Sequence[str]) -> dict[str, list[Any]]:
    """Values of each key: 'a.b=1,2.5,x' is [1, 2.5, 'x'], 'a.b=0:0.1:0.03' is [0, 0.03, 0.06,
    0.09].

    Raises:
        ValueError: an entry is neither.
    """
    grid = {}
    for entry in entries:
        key, equals, text = entry.partition('=')
        if not (key and equals and text):
            raise ValueError(f'--grid {entry}: write KEY=VALUE,VALUE,... or KEY=START:STOP:STEP')
        grid[key] = (
            _range(entry, text) if ':' in text else [_value(item) for item in text.split(',')]
        )
    return grid


def _range(entry: str, text: str) -> list[float]:
    try:
        start, stop, step = (float(item) for item in text.split(':'))
    except ValueError:
        raise ValueError(f'--grid {entry}: a range is START:STOP:STEP, three numbers') from None
    if not all(math.isfinite(number) for number in (start, stop, step)):
        raise ValueError(f'--grid {entry}: a range has finite numbers')
    # STOP itself is left out, however it is rounded
    count = int(np.ceil((stop - start) / step - 1e-6)) if step else 0
    if count < 1:
        raise ValueError(f'--grid {entry}: the range has no value')
    if count > _MAX_VALUES:
        raise ValueError(
            f'--grid {entry}: the range has {count} values; give at most {_MAX_VALUES}'
        )
    return [round(start + i * step, 10) for i in range(count)]


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def check_keys(config: Config, keys: Iterable[str]) -> None:
    """Refuse keys that change nothing, because the config has no such part.

    The last word of a key may be an option that the config leaves at its default.

    Args:
        config: that the keys are of.
        keys: with dots.

    Raises:
        DataError: a part is not there.
    """
    for key in keys:
        words = key.split('.')
        parts = words[:-1] if len(words) > 1 else words
        part: Any = config
        for word in parts:
            # A part of the config: an entry of a list by its number, or a key.
            is_index = isinstance(part, list) and word.isdecimal()
            if is_index and int(word) < len(part):
                part = part[int(word)]
            elif isinstance(part, dict | Config):
                part = part.get(word)
            else:
                part = None
        if part is None:
            raise DataError(f'--grid {key}: the config has no {".".join(parts)}')


def combinations(grid: dict[str, list[Any]], count: int | None, seed: int) -> list[Options]:
    """Combine the values of a grid.

    Args:
        grid: the values of each key.
        count: random ones, none twice; None, or more than there are: all.
        seed: of the random ones.

    Returns:
        All combinations in order, the last key changing fastest, or random ones.
    """
    every = []
    for values in itertools.product(*grid.values()):
        every.append(dict(zip(grid, values)))
    if count is None or count >= len(every):
        return every
    return random.Random(seed).sample(every, count)


class Table:
    """The results so far, in a file; the first line says what was searched.

    Args:
        path: the file.
        search: fingerprint of model and data.

    Raises:
        ValueError: the file belongs to another search, or is no table.
    """

    def __init__(self, path: Path, search: str) -> None:
        self.path = path
        # A killed search leaves half a line.
        content = path.read_bytes() if path.is_file() else b''
        whole = content[: content.rfind(b'\n') + 1]
        lines = whole.decode().splitlines()
        # The first line says which search this is.
        head: dict[str, Any] = dict(search=search)
        self.rows: list[dict[str, Any]] = []
        try:
            if lines:
                head, *self.rows = [json.loads(line) for line in lines]
            found = head['search']
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path} is no table of a search; give another --out') from error
        if found != search:
            raise ValueError(
                f'{path} was made with another config, checkpoint or data; give another --out'
            )
        write_bytes(path, whole or (json.dumps(head) + '\n').encode())

    def __contains__(self, options: Options) -> bool:
        return any(row['options'] == options for row in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        """Write one more result.

        Raises:
            OutputError: the disk is full.
        """
        line = json.dumps(row) + '\n'
        with output_errors(self.path), self.path.open('a', encoding='utf-8') as stream:
            stream.write(line)
        self.rows.append(row)


def evaluate(trial: Trial, options: Options, device: str | None) -> dict[str, Any]:
    """Compute one row of the table.

    Args:
        trial: what is the same for all rows.
        options: of this row.
        device: of the model; None: the best that is there.

    Returns:
        Options, scores and seconds.
    """
    started = time.perf_counter()
    # The options of this row go before those of all.
    overrides = {**trial.overrides, **options}
    model = init_model(trial.config, trial.checkpoint, device, overrides)
    parameter = next(model.parameters())
    optimize(model, choose_dtype(trial.precision, parameter.device))
    if trial.davis:
        metrics = score_davis(model, trial)
    else:
        metrics = score_vot(model, trial)
    seconds = time.perf_counter() - started
    return dict(options=options, metrics=metrics, seconds=round(seconds, 2))


def score_davis(model: VideoModel, trial: Trial) -> Metrics:
    """J, F and J&F."""
    # The list of sequences; without one all videos count.
    root = Path(str(trial.davis))
    split = None
    for path in (root / 'ImageSets' / str(trial.year) / f'{trial.split}.txt', Path(trial.split)):
        if path.is_file():
            split = str(path)
            break
    config = dict(
        type='mmvos.MaskVideoDataset',
        data_root=trial.davis,
        split=split,
        prompt=trial.prompt,
        merge_objects=trial.year == 2016,
        pipeline=get_test_pipeline_cfg(model.cfg),
    )
    dataset = DATASETS.build(config)
    metric = DAVISMetric(str(root), year=trial.year, split=split or trial.split)

    # One video after the other, one frame in memory at a time.
    for index, video in enumerate(dataset.videos):
        items = (dataset[i] for i in dataset.frame_range(index))
        frames = (model.make_frame(pseudo_collate([item])) for item in items)
        labels = []
        for result in model.run(frames, dataset.prompts(video)):
            labels.append(as_labels(result.label_map()))
        metric.process(None, [dict(sequence=video.name, labels=labels)])
    return metric.compute_metrics(metric.results)


def score_vot(model: VideoModel, trial: Trial) -> Metrics:
    """EAO, accuracy and robustness of a supervised run."""
    dataset = VOTDataset(str(trial.vot), get_test_pipeline_cfg(model.cfg))
    if trial.interval:
        interval = Interval(trial.interval, trial.interval)
    else:
        interval = INTERVALS[trial.year]

    # One supervised run of each sequence.
    runs = {}
    for index, video in enumerate(dataset.videos):
        truth = video.sequence.truth
        size = video.sequence.size()
        items = (dataset[i] for i in dataset.frame_range(index))
        frames = (model.make_frame(pseudo_collate([item])) for item in items)
        lines = run_supervised(frames, truth, VOTTrackerAdapter(model), size)
        track = trajectory(lines)
        runs[video.name] = [measure(track, truth, size)]
    return summarize(runs, interval).metrics


_device: str | None = None  # of this process


def _start_process(devices: Any, threads: int) -> None:
    global _device
    _device = devices.get()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupt ends it without a traceback
    torch.set_num_threads(threads)
    cv2.setNumThreads(0)


def _evaluate_here(trial: Trial, options: Options) -> dict[str, Any]:
    return evaluate(trial, options, _device)


def search(
    trial: Trial, todo: Sequence[Options], processes: int, devices: Sequence[str | None]
) -> Iterator[dict[str, Any]]:
    """Yield the rows as they come.

    Args:
        trial: what is the same for all rows.
        todo: options of the rows.
        processes: that compute them.
        devices: that the processes share.
    """
    if processes == 1:
        for options in todo:
            yield evaluate(trial, options, devices[0])
        return

    # Each process takes a device from the queue when it starts.
    context = get_context('spawn')  # neither CUDA nor threads survive a fork
    queue = context.Queue()
    for i in range(processes):
        queue.put(devices[i % len(devices)])
    threads = max((os.cpu_count() or 1) // processes, 1)
    with ProcessPoolExecutor(
        processes, context, initializer=_start_process, initargs=(queue, threads)
    ) as pool:
        try:
            futures = [pool.submit(_evaluate_here, trial, options) for options in todo]
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            # What has not begun is not begun any more.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def print_best(rows: Sequence[dict[str, Any]], objective: str) -> None:
    """Print the best rows, and how to use the first of them.

    Args:
        rows: at least one.
        objective: name of a score.
    """
    sign = 1 if objective in LOWER_IS_BETTER else -1
    best = sorted(rows, key=lambda row: sign * row['metrics'][objective])
    for row in best[:_SHOWN]:
        print(f'{row["metrics"][objective]:.4f}  {_in_words(row["options"])}')
    first = best[0]
    print(f'best {objective} of {len(rows)}: --cfg-options {_in_words(first["options"])}')
    if first['metrics'][objective] == UNDEFINED:
        print(
            f'{objective} is undefined: no sequence is long enough; give --interval or another '
            f'--objective'
        )


def _in_words(options: Options) -> str:
    """Write options as ``--cfg-options`` takes them."""
    return ' '.join(f'{key}={value}' for key, value in options.items())
