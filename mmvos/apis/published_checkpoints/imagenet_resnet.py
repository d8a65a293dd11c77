"""A ResNet-50 of ImageNet as the start of a ``SiameseResNet``: SiamMask's own ``resnet.model``, or
any with 1x1 shortcuts.

The latter is an approximation: a 1x1 shortcut becomes the middle of a 3x3 one, which then samples
the pixels that the main path samples. Mean, standard deviation and the order of colors go into the
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
# RGB
_MEAN = (123.675, 116.28, 103.53)
_STD = (58.395, 57.12, 57.375)


def recognises(weights: Mapping[str, Tensor]) -> bool:
    """Whether names are those of a plain ResNet."""
    return {'conv1.weight', *_SHORTCUTS} <= set(weights)


def convert(weights: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """Give by our names the names and tensors of stem and stages 1 to 3; stage 4 and the classifier
    are left out.
    """
    kept = {}
    for name, tensor in weights.items():
        if not name.startswith(_UNUSED):
            kept[name] = tensor
    # SiamMask's own ResNet has 3x3 shortcuts and takes BGR images; others are made like it.
    if weights[_SHORTCUTS[0]].shape[2:] == (1, 1):
        for name, tensor in kept.items():
            if tensor.is_floating_point():
                kept[name] = tensor.float()
        for name in _SHORTCUTS:
            if kept[name].shape[2:] == (1, 1):
                kept[name] = F.pad(kept[name], (1, 1, 1, 1))
        _fold_colors(kept)
    return {_OURS + name: (name, tensor) for name, tensor in kept.items()}


def _fold_colors(weights: dict[str, Tensor]) -> None:
    """Change the stem to BGR images of 0 to 255 instead of normalized RGB ones."""
    mean = torch.tensor(_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(_STD).view(1, 3, 1, 1)
    # w * (x - mean) / std = (w / std) * x - sum of (w / std) * mean, which the norm subtracts.
    scaled = weights['conv1.weight'] / std  # (out, 3, 7, 7)
    shift = (scaled * mean).sum(dim=(1, 2, 3))  # (out,)
    weights['bn1.running_mean'] = weights['bn1.running_mean'] + shift
    weights['conv1.weight'] = scaled.flip(1).contiguous()
