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
    """A backbone and a linear layer on the mean of its last map.

    Args:
        backbone: gives feature maps, the last of them (B, C, h, w).
        fc: Linear(C, K).
    """

    def __init__(self, backbone: nn.Module, fc: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.fc = fc

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of normalized images (B, 3, S, S).

        Raises:
            ValueError: the last map has another number of channels than the classifier takes.
        """
        maps = self.backbone(images)
        last = maps if isinstance(maps, Tensor) else maps[-1]
        pooled = last.float().mean(dim=(2, 3))  # (B, C)
        channels = pooled.shape[1]
        if channels != self.fc.in_features:
            raise ValueError(
                f'the backbone ends with {channels} channels, but the classifier of the weights '
                f'takes {self.fc.in_features}; it needs the stages that the weights were trained '
                f'with'
            )
        logits: Tensor = self.fc(pooled)
        return logits


def find_backbone(model: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Find the config of a model's backbone, wherever in the model it is.

    Args:
        model: its config.
        source: what messages call it.

    Raises:
        ValueError: there is none, or there are several different ones.
    """
    places = dict(_backbones(model, 'model'))
    if not places:
        raise ValueError(f'{source} has no backbone; give one as --backbone type=ResNet depth=50')
    first, *others = places.values()
    if any(other != first for other in others):
        raise ValueError(
            f'{source} has {len(places)} backbones ({", ".join(places)}); give one as '
            f'--backbone type=ResNet depth=50'
        )
    return dict(first)


def build_classifier(backbone: Mapping[str, Any], checkpoint: Checkpoint) -> Classifier:
    """Build the backbone and the linear layer with the weights of a checkpoint.

    Args:
        backbone: config; the last stage is its output, whatever ``out_indices`` says, and nothing
            is downloaded.
        checkpoint: weights named as the backbone's, with any prefix, and a classifier such as
            ``fc`` or ``head.fc``.

    Raises:
        ValueError: weights are missing or of another shape, or there is no classifier.
    """
    net = _build_backbone(backbone)
    own = net.state_dict()
    prefix = _prefix(list(own), list(checkpoint.weights))
    weights = {}
    for name in own:
        if prefix + name in checkpoint.weights:
            weights[name] = checkpoint.weights[prefix + name]
    _check_weights(own, weights, checkpoint.source, prefix)
    net.load_state_dict(weights, strict=False)

    # What is not the backbone's holds the classifier.
    rest = {}
    for name, value in checkpoint.weights.items():
        if name.removeprefix(prefix) not in weights:
            rest[name] = value
    return Classifier(net, _linear(rest, checkpoint.source)).eval()


def _build_backbone(backbone: Mapping[str, Any]) -> nn.Module:
    """Build a backbone whose output is its last stage."""
    config = dict(backbone, init_cfg=None)
    if 'out_indices' in config:
        config['out_indices'] = (config.get('num_stages', 4) - 1,)
    init_default_scope('mmdet')
    try:
        net: nn.Module = MODELS.build(config)
    except (KeyError, TypeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'the backbone {config["type"]} cannot be built: {reason}') from error
    return net


def _check_weights(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str, prefix: str
) -> None:
    """Compare the weights that a backbone has with those that were found for it."""
    # All weights are there, but those that a training begins with at 0.
    lost = []
    for name in own:
        is_needed = not name.endswith('num_batches_tracked') and name not in _ZERO_AT_START
        if is_needed and name not in weights:
            lost.append(name)
    if lost:
        raise ValueError(
            f'{source} lacks {len(lost)} of {len(own)} weights of the backbone (the first: '
            f'{lost[0]}); they belong to another backbone than the config names'
        )

    # And of the shape that the backbone has.
    for name, weight in weights.items():
        if weight.shape != own[name].shape:
            raise ValueError(
                f'{source}: {prefix + name} has the shape {tuple(weight.shape)}, the backbone of '
                f'the config {tuple(own[name].shape)}'
            )


def _backbones(entry: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield place and config of every backbone in a config."""
    if isinstance(entry, Mapping):
        for key, value in entry.items():
            if key == 'backbone' and isinstance(value, Mapping) and 'type' in value:
                yield f'{place}.{key}', value
            else:
                yield from _backbones(value, f'{place}.{key}')


def _prefix(own: list[str], given: list[str]) -> str:
    """Find what stands before the backbone's names in a checkpoint: the prefix under which most of
    them are there.
    """
    known = set(own)
    counts: Counter[str] = Counter()
    for name in given:
        parts = name.split('.')
        for cut in range(len(parts)):
            rest = '.'.join(parts[cut:])
            if rest in known:
                prefix = name.removesuffix(rest)
                counts[prefix] += 1
    # Of equally frequent ones the shortest.
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)), default='')


def _linear(weights: Mapping[str, Tensor], source: str) -> nn.Linear:
    """Make the classifier of the weights that are not the backbone's."""
    found = []
    for name, value in weights.items():
        parts = name.split('.')
        is_classifier = len(parts) > 1 and parts[-1] == 'weight' and parts[-2] in _CLASSIFIERS
        # A convolution of one pixel is a linear layer, too.
        is_linear = value.dim() == 2 or (value.dim() == 4 and value.shape[2:] == (1, 1))
        if is_classifier and is_linear:
            found.append(name)
    if len(found) != 1:
        listed = f'several classifiers ({", ".join(found)})'
        raise ValueError(
            f'{source} has {listed if found else "no classifier (fc.weight)"}; give ImageNet '
            f'weights with their last layer: those of a detector, or of a backbone alone, cannot '
            f'be scored'
        )
    weight = weights[found[0]].flatten(1)  # (K, C)
    bias = weights.get(found[0].removesuffix('weight') + 'bias')
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer
