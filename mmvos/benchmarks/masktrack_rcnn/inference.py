"""Inference side by side: our model and mmdet's from JPEG to run lengths, agreement of precisions.

"Model" is from the preprocessed tensor to named instances with masks; ours ends in run lengths
there, mmdet's in masks of the full frame, whose encoding counts only end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
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

from mmvos.benchmarks.timing import Candidate, Record, model_candidate, synchronizer
from mmvos.models import VideoModel
from mmvos.structures import FrameResult

from .compared_models import shipped_config


def our_candidate(name: str, model: VideoModel, config: Config) -> Candidate:
    """Put our model into its frame loop; its results are encoded."""
    return model_candidate(name, model, config, lambda result: len(result.objects))


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

    return Candidate(name, load, step, encode, synchronizer(model))


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
