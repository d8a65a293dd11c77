"""A ResNet-50 of ImageNet as the start of a ``SiameseResNet``: SiamMask's own ``resnet.model``, or
any with 1x1 shortcuts.

The latter is an approximation: a 1x1 shortcut becomes the middle of a 3x3 one, which then samples
the pixels that the main path samples. Mean, standard deviation and the order of colours go into the
first convolution, which is exact because it has no padding.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

KIND = 'ResNet-50'
_OURS = 'tracker.features.backbone.'
_UNUSED = ('layer4.', 'fc.')
_SHORTCUTS = ('layer2.0.downsample.0.weight', 'layer3.0.downsample.0.weight')
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # RGB


def recognises(weights: Mapping[str, Tensor]) -> bool:
    """Whether names are those of a plain ResNet."""
    return {'conv1.weight', *_SHORTCUTS} <= set(weights)


def convert(weights: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """By our names the names and tensors of stem and stages 1 to 3; stage 4 and the classifier are
    left out.
    """
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(_UNUSED)}
    if weights[_SHORTCUTS[0]].shape[2:] == (1, 1):
        kept = {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in kept.items()
        }
        kept.update(
            {
                name: F.pad(kept[name], (1, 1, 1, 1))
                for name in _SHORTCUTS
                if kept[name].shape[2:] == (1, 1)
            }
        )
        _fold_colors(kept)
    return {_OURS + name: (name, tensor) for name, tensor in kept.items()}


def _fold_colors(weights: dict[str, Tensor]) -> None:
    """Stem for BGR images of 0 to 255 instead of normalised RGB ones."""
    weight = weights['conv1.weight']
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    scaled = weight / std
    weights['bn1.running_mean'] = weights['bn1.running_mean'] + (scaled * mean).sum(dim=(1, 2, 3))
    weights['conv1.weight'] = scaled.flip(1).contiguous()
