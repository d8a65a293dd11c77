"""A backbone of any config with the linear classifier that its ImageNet weights hold: global mean
of the last map, one linear layer.

B images, C channels of the last feature map, K classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmvos.apis.checkpoint import Checkpoint
from mmvos.registry import MODELS

_CLASSIFIERS = ('fc', 'head', 'classifier', 'dense', 'logits')
_ZERO_AT_START = ('guide_conv.weight',)  # without a guide the layer is not used


class Classifier(nn.Module):
    """``backbone`` gives feature maps, the last of them (B, C, h, w); ``fc`` is Linear(C, K)."""

    def __init__(self, backbone: nn.Module, fc: nn.Linear) -> None:
        super().__init__()
        self.backbone, self.fc = backbone, fc

    def forward(self, images: Tensor) -> Tensor:
        """(B, K) logits of (B, 3, S, S) normalised images."""
        maps = self.backbone(images)
        last = maps if isinstance(maps, Tensor) else maps[-1]
        pooled = last.float().mean(dim=(2, 3))  # (B, C)
        if pooled.shape[1] != self.fc.in_features:
            raise ValueError(
                f'the backbone ends with {pooled.shape[1]} channels, but the classifier of the '
                f'weights takes '
                f'{self.fc.in_features}; it needs the stages that the weights were trained with'
            )
        logits: Tensor = self.fc(pooled)
        return logits


def find_backbone(model: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The config of a model's backbone, wherever in the model it is.

    Raises:
        ValueError: there is none, or there are several different ones.
    """
    found = dict(_backbones(model, 'model'))
    different = {repr(sorted(entry.items(), key=str)): place for place, entry in found.items()}
    if len(different) != 1:
        raise ValueError(
            f'{source} has {len(found) or "no"} backbone'
            + (f's ({", ".join(found)})' if found else '')
            + '; give one as --backbone type=ResNet depth=50'
        )
    return dict(next(iter(found.values())))


def build_classifier(backbone: Mapping[str, Any], checkpoint: Checkpoint) -> Classifier:
    """The backbone and the linear layer with the weights of a checkpoint.

    Args:
        backbone: config; the last stage is its output, whatever ``out_indices`` says, and nothing
            is downloaded.
        checkpoint: weights named as the backbone's, with any prefix, and a classifier such as
            ``fc`` or ``head.fc``.
    Raises:
        ValueError: weights are missing or of another shape, or there is no classifier.
    """
    config = dict(backbone, init_cfg=None)
    if 'out_indices' in config:
        config['out_indices'] = (config.get('num_stages', 4) - 1,)
    init_default_scope('mmdet')
    try:
        net = MODELS.build(config)
    except (KeyError, TypeError, AssertionError, ValueError) as error:
        raise ValueError(
            f'the backbone {config["type"]} cannot be built: {str(error).splitlines()[0]}'
        ) from error
    names = net.state_dict()
    prefix = _prefix(list(names), list(checkpoint.weights))
    weights = {
        name: checkpoint.weights[prefix + name]
        for name in names
        if prefix + name in checkpoint.weights
    }
    lost = [
        name
        for name in names
        if name not in weights
        and not name.endswith('num_batches_tracked')
        and name not in _ZERO_AT_START
    ]
    if lost:
        raise ValueError(
            f'{checkpoint.source} lacks {len(lost)} of {len(names)} weights of the backbone (the '
            f'first: '
            f'{lost[0]}); they '
            'belong to another backbone than the config names'
        )
    for name, weight in weights.items():
        if weight.shape != names[name].shape:
            raise ValueError(
                f'{checkpoint.source}: {prefix + name} has the shape {tuple(weight.shape)}, the '
                f'backbone of the '
                f'config '
                f'{tuple(names[name].shape)}'
            )
    net.load_state_dict(weights, strict=False)
    rest = {
        name: value
        for name, value in checkpoint.weights.items()
        if name.removeprefix(prefix) not in weights
    }
    return Classifier(net, _linear(rest, checkpoint.source)).eval()


def _backbones(entry: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(entry, Mapping):
        for key, value in entry.items():
            if key == 'backbone' and isinstance(value, Mapping) and 'type' in value:
                yield f'{place}.{key}', value
            else:
                yield from _backbones(value, f'{place}.{key}')


def _prefix(own: list[str], given: list[str]) -> str:
    """What stands before the backbone's names in a checkpoint: the prefix under which most of them
    are there.
    """
    known = set(own)
    counts: Counter[str] = Counter()
    for name in given:
        parts = name.split('.')
        counts.update(
            '.'.join(parts[:cut]) + '.' * (cut > 0)
            for cut in range(len(parts))
            if '.'.join(parts[cut:]) in known
        )
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)), default='')


def _linear(weights: Mapping[str, Tensor], source: str) -> nn.Linear:
    """The classifier among the weights that are not the backbone's."""
    found = [
        name
        for name, value in weights.items()
        if name.endswith('.weight')
        and name.split('.')[-2] in _CLASSIFIERS
        and (value.dim() == 2 or (value.dim() == 4 and value.shape[2:] == (1, 1)))
    ]
    if len(found) != 1:
        raise ValueError(
            f'{source} has {"several classifiers" if found else "no classifier"} '
            f'({", ".join(found) or "fc.weight"}); '
            'give ImageNet weights with their last layer: those of a detector, or of a backbone '
            'alone, cannot be '
            'scored'
        )
    weight = weights[found[0]].flatten(1)
    bias = weights.get(found[0].removesuffix('weight') + 'bias')
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer
