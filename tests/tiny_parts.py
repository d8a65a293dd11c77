"""A PartTracker so small that a step takes hundredths of a second, and one that compares pixels, so
that it finds what is known.

The first has random weights: the narrow SiamMask on a pyramid and the narrow MaskPropagator of the
other tiny models. In the second the networks of the matcher are replaced by the image itself and by
the likeness (cosine) of a template with every place; all else, windows, cells, samples and batches,
is the real thing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_masktrack import CONFIGS
from tiny_segmenter import tiny_settings
from tiny_siamese import tiny_config
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.models import PromptedSegmenter
from mmvos.models.siammask.network import depthwise_correlation
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameMeta

HEIGHT, WIDTH, SIDE = 96, 128, 44
CHANNELS = 8
MEAN, STD = [123.7, 116.3, 103.5], [58.4, 57.1, 57.4]
PYRAMID = {
    'features.backbone.depth': 18,
    'features.neck.in_channels': [64, 128, 256, 512],
    'features.neck.out_channels': CHANNELS,
    'features.adjust.in_channels': CHANNELS,
    'features.adjust.out_channels': CHANNELS,
    'neck.channels': CHANNELS,
    'head.channels': CHANNELS,
}


def matcher_settings(crop: bool = False) -> Any:
    """Config of the matcher: on a pyramid of the whole frame, or on windows of their own."""
    if crop:
        return tiny_config(refine=False, search_size=191).model.tracker
    config = Config.fromfile(CONFIGS / '_base_/models/siammask_fpn_r50.py')
    config.merge_from_dict({f'model.tracker.{name}': value for name, value in PYRAMID.items()})
    config.model.tracker.head.refine = None
    config.model.tracker.search_size = 191
    return config.model.tracker


def tiny_parts(seed: int = 0, crop: bool = False, **tracker: Any) -> PromptedSegmenter:
    """The model with random weights, in evaluation mode; ``tracker`` overrides the tracker's
    arguments.

    Such a matcher finds a part where it was, if only because the window weighs so much.
    """
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    settings = tiny_settings()
    restore = dict(restore=dict(mean=MEAN, std=STD)) if crop else {}
    settings['tracker'] = (
        dict(
            type='mmvos.PartTracker',
            matcher=matcher_settings(crop),
            propagator=settings['tracker'],
            parts=8,
            window_influence=0.9,
        )
        | restore
        | tracker
    )
    model = MODELS.build(settings).eval()
    for name, weight in model.named_parameters():
        if 'propagator' in name and 'guide' in name:
            nn.init.normal_(weight, std=0.1)
    return model


def pixel_parts(crop: bool = False, **tracker: Any) -> PromptedSegmenter:
    """The model whose matcher compares pixels; what is quite like a template has a score near 1."""
    model = tiny_parts(crop=crop, **dict(window_influence=0.1) | tracker)
    matcher = model.tracker.matcher
    if crop:
        matcher.features.backbone = _EveryEighthPixel()
        matcher.features.adjust = _Middle()
    else:
        matcher.features.strides = (1,)
        matcher.features._pyramid = lambda images: (images,)
        matcher.features.adjust = _Middle()
    matcher.neck, matcher.head.score = _Likeness(), nn.Identity()
    return model


class _EveryEighthPixel(nn.Module):
    """What ``SiameseResNet`` sees first: its cell m is at pixel 8 m + 7."""

    def forward(self, windows: Tensor) -> tuple[Tensor | None, ...]:
        blurred = F.avg_pool2d(windows / 64 - 2, 7, 1, 3)
        return None, None, None, blurred[:, :, 7:-7:8, 7:-7:8]


class _Middle(nn.Module):
    """As ``AdjustLayer``, without weights."""

    def forward(self, features: Tensor) -> Tensor:
        return features[:, :, 4:-4, 4:-4] if features.shape[3] < 20 else features


class _Likeness(nn.Module):
    """Shapes as those of ``DepthwiseXCorr``; logits of one anchor's object."""

    def encode_template(self, template: Tensor) -> Tensor:
        return template[:, None, :, 1:-1, 1:-1]

    def correlate(self, kernels: Tensor, search: Tensor, branch: str) -> Tensor:
        assert branch == 'score'
        kernel, search = kernels[:, 0], search[:, :, 1:-1, 1:-1]
        ones = torch.ones_like(kernel[:1])
        squared, both = (
            depthwise_correlation(a, b).sum(dim=1)
            for a, b in ((search.square(), ones.expand_as(kernel)), (search, kernel))
        )
        cosine = both / (squared * kernel.square().sum(dim=(1, 2, 3))[:, None, None]).sqrt().clamp(
            min=1e-9
        )
        logits = torch.zeros(len(kernel), 10, *cosine.shape[1:])
        logits[:, 5] = torch.logit(cosine.clamp(1e-3, 1 - 1e-3))
        logits[:, 6:] = -10
        return logits


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(3, H, W) float32 of smooth noise, as a normalised image has it."""
    noise = torch.randn(
        1, 3, height // 10, width // 10, generator=torch.Generator().manual_seed(seed)
    )
    return F.interpolate(noise, size=(height, width), mode='bicubic')[0].numpy()


def scene(
    index: int, places: dict[int, tuple[int, int]], ground: float = 0.3
) -> tuple[Frame, dict[int, np.ndarray]]:
    """A frame with textured squares of ``SIDE`` pixels before a weaker texture, and their masks.

    Args:
        index: of the frame.
        places: number -> column and row of the square's corner; it may lie outside the frame.
        ground: strength of the background's texture.
    """
    image, masks = ground * texture(1000), {}
    for number, (x, y) in places.items():
        left, top, right, bottom = (
            max(x, 0),
            max(y, 0),
            max(min(x + SIDE, WIDTH), 0),
            max(min(y + SIDE, HEIGHT), 0),
        )
        masks[number] = np.zeros((HEIGHT, WIDTH), dtype=bool)
        if left < right and top < bottom:
            masks[number][top:bottom, left:right] = True
            image[:, top:bottom, left:right] = texture(number, SIDE, SIDE)[
                :, top - y : bottom - y, left - x : right - x
            ]
    meta = FrameMeta(index, (HEIGHT, WIDTH), (HEIGHT, WIDTH), (1.0, 1.0))
    return Frame(torch.from_numpy(image)[None], meta), masks
