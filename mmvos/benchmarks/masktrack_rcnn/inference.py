"""Inference side by side: frames per second from JPEG to run lengths and of the model alone,
agreement of precisions.

The candidates take turns on the same frames (A B C, C B A, ...), so that what else the machine does
meets all of them; the numbers are medians over the frames. "Model" is from the preprocessed tensor
to named instances with masks; ours ends in run lengths there, mmdet's in masks of the full frame,
whose encoding counts only end to end.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.structures.mask import encode_mask_results
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from pycocotools import mask as coco_mask
from torch import nn

from mmvos.models import VideoModel
from mmvos.structures import Frame, FrameResult

from .compared_models import shipped_config

Record = dict[str, list[Any]]  # what a data set gives to the pipeline, one frame


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
        """Takes the next frames of the video."""
        for record in records:
            start = self.clock()
            item = self.load(record)
            loaded = self.clock()
            result = self.step(item)
            self.synchronize()
            done = self.clock()
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


def records_of(paths: Sequence[str | Path], count: int) -> list[Record]:
    """``count`` frames of a video that goes through the pictures forth and back."""
    forth_and_back = list(paths) + list(paths)[-2:0:-1]
    return [
        dict(
            img_path=[str(forth_and_back[i % len(forth_and_back)])],
            img_id=[i],
            frame_id=[i],
            video_id=[1],
            video_length=[count],
            ori_video_length=[count],
        )
        for i in range(count)
    ]


def our_candidate(name: str, model: VideoModel, config: Config) -> Candidate:
    """Our model in the frame loop that everything uses, ``VideoModel.run``."""
    pipeline = Compose(get_test_pipeline_cfg(config))
    waiting: list[Frame] = []

    def given() -> Iterator[Frame]:
        while True:
            yield waiting.pop()

    results = model.run(given())

    def step(frame: Frame) -> FrameResult:
        waiting.append(frame)
        return next(results)

    return Candidate(
        name,
        lambda record: model.make_frame(pseudo_collate([pipeline(record)])),
        step,
        lambda result: len(result.objects),
        _synchronize(model),
    )


def baseline_candidate(
    name: str, model: nn.Module, config: Config, autocast: bool = False
) -> Candidate:
    """mmdet's model, encoded as its metric does; one frame at a time, where its own test loop holds
    a whole video at once.
    """
    steps = _without_annotations(get_test_pipeline_cfg(shipped_config()))
    ours = get_test_pipeline_cfg(config)
    _set_scale(
        steps, next(step['scale'] for step in ours[0]['transforms'] if step['type'] == 'Resize')
    )
    pipeline = Compose(steps)
    device = next(model.parameters()).device.type

    preprocess: Any = model.data_preprocessor
    predict: Any = model.predict

    def load(record: Record) -> Any:
        return preprocess(pseudo_collate([pipeline(record)]), False)

    @torch.no_grad()
    def step(data: Any) -> Any:
        with torch.autocast(device, enabled=autocast):
            return predict(**data)[0][0].pred_track_instances

    def encode(found: Any) -> int:
        return len(encode_mask_results(found.masks.detach().cpu().numpy()))

    return Candidate(name, load, step, encode, _synchronize(model))


def _without_annotations(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A test pipeline that needs no ground truth."""
    kept = [dict(step) for step in steps if step['type'] != 'LoadTrackAnnotations']
    return [
        {**step, 'transforms': _without_annotations(step['transforms'])}
        if 'transforms' in step
        else step
        for step in kept
    ]


def _set_scale(steps: Sequence[dict[str, Any]], scale: Any) -> None:
    for step in steps:
        if step['type'] == 'Resize':
            step['scale'] = scale
        _set_scale(step.get('transforms', ()), scale)


def _synchronize(model: nn.Module) -> Callable[[], None]:
    return torch.cuda.synchronize if next(model.parameters()).is_cuda else lambda: None


def take_turns(
    candidates: Sequence[Candidate], records: Sequence[Record], per_turn: int, seconds: float
) -> None:
    """All candidates go over the same frames, ``per_turn`` at a time, until the frames or the
    seconds are over.

    The first frame of each is not counted. The order changes from turn to turn.
    """
    for candidate in candidates:
        candidate.go(records[:1], keep=False)
    start = time.perf_counter()
    for turn, position in enumerate(range(1, len(records), per_turn)):
        for candidate in candidates[:: 1 if turn % 2 else -1]:
            candidate.go(records[position : position + per_turn])
        if time.perf_counter() - start > seconds:
            return


def agreement(exact: Sequence[FrameResult], reduced: Sequence[FrameResult]) -> tuple[float, float]:
    """How well the masks of a reduced precision agree with the exact ones.

    Returns:
        Mean IoU of the masks of detections that have the same label and boxes of an IoU of at least
        0.5 (the best such partner of each exact detection), and the share of the exact detections
        that have such a partner.
    """
    ious: list[float] = []
    total = 0
    for one, other in zip(exact, reduced, strict=True):
        total += len(one.objects)
        if not one.objects or not other.objects:
            continue
        boxes = [
            np.array(
                [
                    [x1, y1, x2 - x1, y2 - y1]
                    for x1, y1, x2, y2 in (item.box for item in result.objects)
                ]
            )
            for result in (one, other)
        ]
        overlap = coco_mask.iou(boxes[0], boxes[1], [0] * len(boxes[1]))  # (N, M)
        same = np.array([[a.label == b.label for b in other.objects] for a in one.objects])
        overlap = np.where(same, overlap, 0)
        for i, j in enumerate(overlap.argmax(axis=1)):
            if overlap[i, j] >= 0.5:
                masks = [
                    [{**item.mask, 'counts': item.mask['counts'].encode()}]
                    for item in (one.objects[i], other.objects[j])
                ]
                ious.append(float(coco_mask.iou(masks[0], masks[1], [0])[0, 0]))
    return float(np.mean(ious)) if ious else float('nan'), len(ious) / max(total, 1)


def results_of(candidate: Candidate, records: Sequence[Record]) -> list[FrameResult]:
    """The results of our model over frames, from the beginning of a video."""
    return [candidate.step(candidate.load(record)) for record in records]
