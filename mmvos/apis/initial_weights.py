"""Initial weights of a training: a checkpoint of the same model, of a plain mmdet detector (COCO),
or of a backbone.

A detector's weights go to ``model.detector``, a backbone's to ``model.detector.backbone``,
``model.tracker.backbone`` or ``model.tracker.features.backbone``. What has another number of
classes (``fc_cls``, ``fc_reg``, ``conv_logits``) and what the file does not have starts at random;
stages of a backbone that the model's does without (``layer4``) are left out; everything else must
fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

_BY_CLASS = ('fc_cls', 'fc_reg', 'conv_logits')  # layers whose size is the number of classes
_PARTS = ('detector', 'tracker', 'tracker.features')  # that have a backbone
_NOT_OURS = ('fc.weight', 'fc.bias')  # an ImageNet classifier


@dataclass(frozen=True)
class InitialWeights:
    """What a training starts from.

    Attributes:
        weights: name in the model -> tensor, the parts that the file gives.
        source: which kind of file it was: 'model', 'detector' or 'backbone'.
        random: names of the model's weights that start at random.
    """

    weights: Mapping[str, Tensor]
    source: str
    random: tuple[str, ...]


def match_initial_weights(
    model: nn.Module, given: Mapping[str, Tensor], source: str
) -> InitialWeights:
    """Says which weights of a model a checkpoint gives; changes neither.

    Args:
        model: a model with a backbone in its detector, its tracker or its tracker's features.
        given: name -> tensor, of the model, of an mmdet detector, or of a backbone (torchvision's
            names).
        source: the file they come from, for messages.

    Raises:
        ValueError: no kind fits, a weight has another shape for another reason than the number of
            classes, or the file has weights that the model does not know.
    """
    own = {
        name: value
        for name, value in model.state_dict().items()
        if not name.startswith('data_preprocessor')
    }
    given = {name: value for name, value in given.items() if name not in _NOT_OURS}
    kind, prefix = _kind(own, given, source)
    if kind == 'backbone':
        stages = {name.split('.')[0] for name in given} - {
            name.removeprefix(prefix).split('.')[0] for name in own
        }
        given = {
            name: value
            for name, value in given.items()
            if name.split('.')[0] not in stages or name[:5] != 'layer'
        }
    named = {prefix + name: value for name, value in given.items()}
    unknown = [
        name for name in named if name not in own and not name.endswith('num_batches_tracked')
    ]
    misfit = [
        name
        for name in named
        if name in own and named[name].shape != own[name].shape and not _by_class(name)
    ]
    for names, fault in (
        (unknown, 'is unknown to the model'),
        (misfit, 'has another shape in the model'),
    ):
        if names:
            raise ValueError(
                f'{source}: {names[0]} {fault} ({len(names)} weights); it belongs to another '
                f'backbone, '
                f'neck or head than the config names'
            )
    weights = {
        name: value.to(own[name].dtype)
        for name, value in named.items()
        if name in own and value.shape == own[name].shape
    }
    random = tuple(
        name for name in own if name not in weights and not name.endswith('num_batches_tracked')
    )
    return InitialWeights(weights, kind, random)


def _kind(own: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> tuple[str, str]:
    """The kind of file and the prefix of its names in the model: the one under which most names are
    known.
    """
    prefixes = [
        ('model', ''),
        ('detector', 'detector.'),
        *(('backbone', part + '.backbone.') for part in _PARTS),
    ]
    known = [sum(prefix + name in own for name in given) for _, prefix in prefixes]
    if max(known) == 0:
        raise ValueError(
            f'{source} holds no weight that the model knows (the first: {next(iter(given))}); '
            f'expected a checkpoint '
            f'of this model, of an mmdet Mask R-CNN, or of its ResNet'
        )
    return prefixes[known.index(max(known))]


def _by_class(name: str) -> bool:
    return any(part in _BY_CLASS for part in name.split('.'))
