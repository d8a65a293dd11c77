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

    Raises:
        DataError: a part is not there.
    """
    for key in keys:
        first, *between = key.split('.')[: max(1, key.count('.'))]
        part = config.get(first)
        for word in between:
            if isinstance(part, list) and word.isdecimal() and int(word) < len(part):
                part = part[int(word)]
            else:
                part = part.get(word) if isinstance(part, dict) else None
        if part is None:
            raise DataError(f'--grid {key}: the config has no {".".join([first, *between])}')


def combinations(grid: dict[str, list[Any]], count: int | None, seed: int) -> list[Options]:
    """All combinations in order, the last key changing fastest, or ``count`` random ones of them,
    none twice.
    """
    every = [dict(zip(grid, values)) for values in itertools.product(*grid.values())]
    return (
        every if count is None or count >= len(every) else random.Random(seed).sample(every, count)
    )


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
        self.rows: list[dict[str, Any]] = []
        content = path.read_bytes() if path.is_file() else b''
        whole = content[: content.rfind(b'\n') + 1]  # a killed search leaves half a line
        lines = whole.decode().splitlines()
        try:
            head, *self.rows = [json.loads(line) for line in lines] or [dict(search=search)]
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
        """Writes one more result."""
        with output_errors(self.path), self.path.open('a', encoding='utf-8') as stream:
            stream.write(json.dumps(row) + '\n')
        self.rows.append(row)


def evaluate(trial: Trial, options: Options, device: str | None) -> dict[str, Any]:
    """One row of the table: options, scores, seconds."""
    started = time.perf_counter()
    model = init_model(trial.config, trial.checkpoint, device, {**trial.overrides, **options})
    optimize(model, choose_dtype(trial.precision, next(model.parameters()).device))
    metrics = score_davis(model, trial) if trial.davis else score_vot(model, trial)
    return dict(options=options, metrics=metrics, seconds=round(time.perf_counter() - started, 2))


def score_davis(model: VideoModel, trial: Trial) -> Metrics:
    """J, F and J&F."""
    root = Path(str(trial.davis))
    files = (root / 'ImageSets' / str(trial.year) / f'{trial.split}.txt', Path(trial.split))
    split = next((str(path) for path in files if path.is_file()), None)  # without one all videos
    dataset = DATASETS.build(
        dict(
            type='mmvos.MaskVideoDataset',
            data_root=trial.davis,
            split=split,
            prompt=trial.prompt,
            merge_objects=trial.year == 2016,
            pipeline=get_test_pipeline_cfg(model.cfg),
        )
    )
    metric = DAVISMetric(str(root), year=trial.year, split=split or trial.split)
    for index, video in enumerate(dataset.videos):
        frames = (
            model.make_frame(pseudo_collate([dataset[i]])) for i in dataset.frame_range(index)
        )
        labels = [
            as_labels(result.label_map()) for result in model.run(frames, dataset.prompts(video))
        ]
        metric.process(None, [dict(sequence=video.name, labels=labels)])
    return metric.compute_metrics(metric.results)


def score_vot(model: VideoModel, trial: Trial) -> Metrics:
    """EAO, accuracy and robustness of a supervised run."""
    dataset = VOTDataset(str(trial.vot), get_test_pipeline_cfg(model.cfg))
    interval = Interval(trial.interval, trial.interval) if trial.interval else INTERVALS[trial.year]
    runs = {}
    for index, video in enumerate(dataset.videos):
        truth, size = video.sequence.truth, video.sequence.size()
        frames = (
            model.make_frame(pseudo_collate([dataset[i]])) for i in dataset.frame_range(index)
        )
        lines = run_supervised(frames, truth, VOTTrackerAdapter(model), size)
        runs[video.name] = [measure(trajectory(lines), truth, size)]
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
    """Yields the rows as they come."""
    if processes == 1:
        yield from (evaluate(trial, options, devices[0]) for options in todo)
        return
    context = get_context('spawn')  # neither CUDA nor threads survive a fork
    queue = context.Queue()
    for i in range(processes):
        queue.put(devices[i % len(devices)])
    threads = max((os.cpu_count() or 1) // processes, 1)
    with ProcessPoolExecutor(
        processes, context, initializer=_start_process, initargs=(queue, threads)
    ) as pool:
        try:
            for future in as_completed(
                [pool.submit(_evaluate_here, trial, options) for options in todo]
            ):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def print_best(rows: Sequence[dict[str, Any]], objective: str) -> None:
    """The best rows, and how to use the first of them."""
    sign = 1 if objective in LOWER_IS_BETTER else -1
    best = sorted(rows, key=lambda row: sign * row['metrics'][objective])[:_SHOWN]
    for row in best:
        print(
            f'{row["metrics"][objective]:.4f}  '
            + ' '.join(f'{key}={value}' for key, value in row['options'].items())
        )
    print(
        f'best {objective} of {len(rows)}: --cfg-options '
        + ' '.join(f'{k}={v}' for k, v in best[0]['options'].items())
    )
    if best[0]['metrics'][objective] == UNDEFINED:
        print(
            f'{objective} is undefined: no sequence is long enough; give --interval or another '
            f'--objective'
        )
