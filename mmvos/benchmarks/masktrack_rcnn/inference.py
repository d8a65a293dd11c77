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
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import nn

from mmvos.benchmarks.timing import Candidate, Record, model_candidate, synchronizer
from mmvos.models import VideoModel
from mmvos.structures import FrameResult, TrackedObject

from .compared_models import shipped_config


def our_candidate(name: str, model: VideoModel, config: Config) -> Candidate:
    """Put our model into its frame loop; its results are encoded.

    Args:
        name: in the table.
        model: for inference.
        config: with the test pipeline.
    """
    return model_candidate(name, model, config, lambda result: len(result.objects))


def baseline_candidate(
    name: str, model: nn.Module, config: Config, autocast: bool = False
) -> Candidate:
    """Put mmdet's model into the frame loop; its results are encoded as its metric does.

    It takes one frame at a time, where its own test loop holds a whole video at once.

    Args:
        name: in the table.
        model: mmdet's.
        config: of ours, for the scale of the frames.
        autocast: compute under mixed precision.
    """
    # mmdet's own test pipeline, at our scale.
    steps = _without_annotations(get_test_pipeline_cfg(shipped_config()))
    our_steps = get_test_pipeline_cfg(config)[0]['transforms']
    our_resize = next(step for step in our_steps if step['type'] == 'Resize')
    _set_scale(steps, our_resize['scale'])
    pipeline = Compose(steps)
    device = next(model.parameters()).device.type

    preprocess: Any = model.data_preprocessor
    predict: Any = model.predict

    def load(record: Record) -> Any:
        return preprocess(pseudo_collate([pipeline(record)]), False)

    @torch.no_grad()
    def step(data: Any) -> Any:
        with torch.autocast(device, enabled=autocast):
            (video,) = predict(**data)
            return video[0].pred_track_instances

    def encode(found: Any) -> int:
        masks = found.masks.detach().cpu().numpy()
        return len(encode_mask_results(masks))

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
    """Measure how well the masks of a reduced precision agree with the exact ones.

    Args:
        exact: results of a video's frames.
        reduced: results of the same frames.

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
        # (N, M): box IoU of each exact detection with each of the others, 0 for another label.
        boxes = _xywh_boxes(one)
        other_boxes = _xywh_boxes(other)
        overlap = coco_mask.iou(boxes, other_boxes, [0] * len(other_boxes))
        labels = np.array([item.label for item in one.objects])
        other_labels = np.array([item.label for item in other.objects])
        overlap = np.where(labels[:, None] == other_labels, overlap, 0)
        # The partner of each exact detection, and how their masks agree.
        for i, j in enumerate(overlap.argmax(axis=1)):
            if overlap[i, j] >= 0.5:
                mask = _coco_rle(one.objects[i])
                other_mask = _coco_rle(other.objects[j])
                iou = coco_mask.iou([mask], [other_mask], [0])
                ious.append(float(iou[0, 0]))
    mean = float(np.mean(ious)) if ious else float('nan')
    share = len(ious) / max(total, 1)
    return mean, share


def _xywh_boxes(result: FrameResult) -> NDArray[np.float64]:
    """Return the boxes of all objects, (N, 4) as corner and size."""
    boxes = []
    for item in result.objects:
        x1, y1, x2, y2 = item.box
        boxes.append([x1, y1, x2 - x1, y2 - y1])
    return np.array(boxes)


def _coco_rle(item: TrackedObject) -> dict[str, Any]:
    """Return an object's mask as pycocotools takes it: counts in bytes."""
    return {**item.mask, 'counts': item.mask['counts'].encode()}


def results_of(candidate: Candidate, records: Sequence[Record]) -> list[FrameResult]:
    """The results of our model over frames, from the beginning of a video."""
    return [candidate.step(candidate.load(record)) for record in records]
