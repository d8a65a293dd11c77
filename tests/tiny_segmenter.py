"""A PromptedSegmenter so small that a step takes hundredths of a second: ResNet-18 to stride 16,
squares of 64 pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmvos.models import PromptedSegmenter
from mmvos.models.tracked_objects import PromptedObjects, PromptKind
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameMeta

HEIGHT, WIDTH = 72, 96


def tiny_settings(**tracker: Any) -> dict[str, Any]:
    """Config of the model; ``tracker`` overrides the propagator's arguments."""
    head = dict(
        type='mmvos.PropagationHead',
        in_channels=(64, 64, 128, 256),
        channels=(8, 8, 16, 16),
    )
    backbone = dict(
        type='mmvos.GuidedResNet',
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        out_stem=True,
        norm_eval=True,
    )
    return dict(
        type='mmvos.PromptedSegmenter',
        data_preprocessor=dict(
            type='TrackDataPreprocessor',
            mean=[123.7, 116.3, 103.5],
            std=[58.4, 57.1, 57.4],
            bgr_to_rgb=True,
            pad_mask=False,
        ),
        tracker=dict(
            type='mmvos.MaskPropagator', backbone=backbone, head=head, size=64, train_size=64
        )
        | tracker,
    )


def clicked_segmenter(seed: int = 0, **tracker: Any) -> PromptedSegmenter:
    """The model on the light backbone, whose guide has a channel for clicks."""
    backbone = dict(type='mmvos.GuidedEfficientNetLite', guide_channels=2)
    head = dict(
        type='mmvos.PropagationHead',
        in_channels=(16, 24, 40, 112),
        channels=(8, 8, 16, 16),
        guide_channels=2,
    )
    return tiny_segmenter(seed, backbone=backbone, head=head, clicks=True, **tracker)


def tiny_segmenter(seed: int = 0, merge: str = 'soft', **tracker: Any) -> PromptedSegmenter:
    """The model with random weights, its guides not zero, in evaluation mode."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(tiny_settings(**tracker) | dict(merge=merge))
    for name, weight in model.named_parameters():
        if 'guide' in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model.eval()


def frame(index: int, seed: int | None = None, height: int = HEIGHT, width: int = WIDTH) -> Frame:
    """A frame of noise."""
    image = torch.randn(
        1,
        3,
        height,
        width,
        generator=torch.Generator().manual_seed(index if seed is None else seed),
    )
    return Frame(image, FrameMeta(index, (height, width), (height, width), (1.0, 1.0)))


def square_mask(x: int, y: int, side: int = 24) -> np.ndarray:
    """(HEIGHT, WIDTH) bool."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y : y + side, x : x + side] = True
    return mask


def objects_of(*masks):
    """What a tracker is given of masks."""
    priors = torch.stack([2 * torch.from_numpy(mask).float() - 1 for mask in masks])
    kinds = (PromptKind.MASK,) * len(masks)
    boxes = ((0.0, 0.0, 1.0, 1.0),) * len(masks)
    return PromptedObjects(tuple(range(1, len(masks) + 1)), priors, kinds, boxes)


@torch.no_grad()
def start(tracker, *masks):
    """The states of objects after the frame in which they are given."""
    probabilities, states = tracker.start(frame(0), objects_of(*masks))
    return tracker.commit(states, probabilities)


@torch.no_grad()
def find(tracker, states, *masks):
    """The states after one more frame, in which the objects are where the masks say."""
    _, waiting = tracker.propagate(frame(1), states)
    return tracker.commit(waiting, torch.from_numpy(np.stack(masks)).float())


def clip_sample(masks: np.ndarray, guides: np.ndarray, kinds: np.ndarray) -> TrackDataSample:
    """A training sample of masks and guides (T, K, H, W) and kinds (T, K)."""
    sample = TrackDataSample()
    frames = []
    for mask, guide, kind in zip(masks, guides, kinds, strict=True):
        instances = InstanceData(
            masks=BitmapMasks(mask.astype(np.uint8), *mask.shape[1:]),
            guides=torch.from_numpy(guide.astype(np.float32)),
            guide_kinds=torch.from_numpy(kind),
            instances_ids=torch.arange(1, len(mask) + 1),
        )
        frames.append(DetDataSample(gt_instances=instances))
    sample.video_data_samples = frames
    return sample
