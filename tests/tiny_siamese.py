"""SiamMasks so narrow that a step takes hundredths of a second: the shipped models with few
channels; and their frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvos.datasets.transforms import PackPair
from mmvos.models import PromptedSegmenter
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameMeta

MODELS_FOLDER = Path(__file__).resolve().parents[1] / 'configs/_base_/models'
MODEL = MODELS_FOLDER / 'siammask_r50.py'
VARIANTS = ('sharp', 'base', 'vote', 'pyramid')
HEIGHT, WIDTH = 72, 96
CHANNELS = 8
TINY_OPTIONS = {
    'model.tracker.features.backbone.base_channels': 4,
    'model.tracker.features.backbone.stem_channels': 4,
    'model.tracker.features.adjust.in_channels': 64,
    'model.tracker.features.adjust.out_channels': CHANNELS,
    'model.tracker.neck.channels': CHANNELS,
    'model.tracker.head.channels': CHANNELS,
    'model.tracker.head.refine.in_channels': (4, 16, 32),
    'model.tracker.head.refine.channels': CHANNELS,
}

TINY_PYRAMID = {
    'features.backbone.depth': 18,
    'features.neck.in_channels': [64, 128, 256, 512],
    'features.neck.out_channels': CHANNELS,
    'features.adjust.in_channels': CHANNELS,
    'features.adjust.out_channels': CHANNELS,
    'neck.channels': CHANNELS,
    'head.channels': CHANNELS,
    'head.refine.in_channels': (CHANNELS,) * 3,
    'head.refine.channels': CHANNELS,
}
# For a vote, whose last layer has a sixteenth of the channels.
WIDER = {'neck.channels': 16, 'head.channels': 16, 'features.adjust.out_channels': 16}


def tiny_config(refine: bool = True, **tracker: Any) -> Config:
    """The model's config with few channels; ``tracker`` overrides the tracker's arguments."""
    config = Config.fromfile(MODEL)
    config.merge_from_dict(
        TINY_OPTIONS | {f'model.tracker.{name}': value for name, value in tracker.items()}
    )
    if not refine:
        config.model.tracker.head.refine = None
    return config


def tiny_siamese(seed: int = 0, refine: bool = True, **tracker: Any) -> PromptedSegmenter:
    """The model with random weights and such statistics that scores and boxes are neither all alike
    nor without bounds.
    """
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(tiny_config(refine, **tracker).model).eval()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        model.tracker.forward_pairs(
            *(
                torch.from_numpy(np.stack([picture(i, 256, 256)[:size, :size] for i in range(4)]))
                .permute(0, 3, 1, 2)
                .float()
                for size in (127, 255)
            )
        )
    return model.eval()


def tiny_pyramid(**tracker: Any) -> PromptedSegmenter:
    """The model on a feature pyramid, with random weights; ``tracker`` overrides the tracker's
    arguments.
    """
    init_default_scope('mmdet')
    torch.manual_seed(0)
    config = Config.fromfile(MODELS_FOLDER / 'siammask_fpn_r50.py')
    config.merge_from_dict(
        {f'model.tracker.{name}': value for name, value in (TINY_PYRAMID | tracker).items()}
    )
    return MODELS.build(config.model).eval()


def tiny_variant(name: str) -> PromptedSegmenter:
    """One of the ``VARIANTS``."""
    if name == 'pyramid':
        return tiny_pyramid()
    voting = (
        dict(type='mmvos.VotingMaskHead', channels=16, min_area=100.0) if name == 'vote' else None
    )
    return tiny_siamese(refine=name == 'sharp', **(dict(WIDER, voting=voting) if voting else {}))


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) uint8, blurred noise."""
    noise = np.random.default_rng(seed).integers(
        0, 256, (height // 8, width // 8, 3), dtype=np.uint8
    )
    return np.kron(noise, np.ones((8, 8, 1), dtype=np.uint8))


def pair_sample(size: int) -> dict[str, Any]:
    """A training pair of a bright square in the middle of both images, as the training pipeline
    packs it.
    """
    images, boxes, masks = [], [], []
    for side in (127, size):
        low, high = side // 2 - 32, side // 2 + 32
        image, mask = (
            picture(side, 256, 256)[:side, :side].copy(),
            np.zeros((1, side, side), dtype=np.uint8),
        )
        image[low : high + 1, low : high + 1] = (40, 220, 250)
        mask[:, low : high + 1, low : high + 1] = 1
        images.append(image)
        boxes.append(np.array([[low, low, high, high]], dtype=np.float32))
        masks.append(BitmapMasks(mask, side, side))
    return PackPair().transform(
        dict(
            img=images,
            gt_bboxes=boxes,
            gt_masks=masks,
            img_shape=[(127, 127), (size, size)],
            negative=[False] * 2,
            has_mask=[True] * 2,
            img_path=['a', 'b'],
            img_id=[0, 1],
            frame_id=[0, 1],
            video_id=[1, 1],
        )
    )


def frame(index: int, seed: int | None = None, height: int = HEIGHT, width: int = WIDTH) -> Frame:
    """A frame as the model's preprocessor gives it: BGR from 0 to 255."""
    image = (
        torch.from_numpy(picture(index if seed is None else seed, height, width))
        .permute(2, 0, 1)[None]
        .float()
    )
    return Frame(image, FrameMeta(index, (height, width), (height, width), (1.0, 1.0)))


def frame_for(model: PromptedSegmenter, index: int, **size: int) -> Frame:
    """A frame for a variant: normalised for that on a pyramid."""
    item = frame(index, **size)
    return (
        item
        if model.tracker.features.__class__.__name__ == 'CropFeatures'
        else Frame(item.image / 64 - 2, item.meta)
    )
