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
_COUNTER = 'num_batches_tracked'
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
    """Say which weights of a model a checkpoint gives; changes neither.

    Args:
        model: a model with a backbone in its detector, its tracker or its tracker's features.
        given: name -> tensor, of the model, of an mmdet detector, or of a backbone (torchvision's
            names).
        source: the file they come from, for messages.

    Raises:
        ValueError: no kind fits, a weight has another shape for another reason than the number of
            classes, or the file has weights that the model does not know.
    """
    own = {}
    for name, value in model.state_dict().items():
        if not name.startswith('data_preprocessor'):
            own[name] = value
    given = {name: value for name, value in given.items() if name not in _NOT_OURS}

    # 1. What the file is, so what its names are in the model.
    kind, prefix = _kind(own, given, source)
    if kind == 'backbone':
        given = _used_stages(own, given, prefix)
    named = {prefix + name: value for name, value in given.items()}

    # 2. What fits; only layers by class may have another shape.
    weights = {}
    unknown = []
    misfit = []
    for name, value in named.items():
        if name not in own:
            if not name.endswith(_COUNTER):
                unknown.append(name)
        elif value.shape == own[name].shape:
            weights[name] = value.to(own[name].dtype)
        elif not _by_class(name):
            misfit.append(name)
    for names, fault in (
        (unknown, 'is unknown to the model'),
        (misfit, 'has another shape in the model'),
    ):
        if names:
            raise ValueError(
                f'{source}: {names[0]} {fault} ({len(names)} weights); it belongs to another '
                f'backbone, neck or head than the config names'
            )

    # 3. What is left starts at random.
    random = [name for name in own if name not in weights and not name.endswith(_COUNTER)]
    return InitialWeights(weights, kind, tuple(random))


def _used_stages(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], prefix: str
) -> dict[str, Tensor]:
    """Leave out the stages of a backbone that the model's does without, e.g. ``layer4``."""
    own_parts = {name.removeprefix(prefix).split('.')[0] for name in own}
    used = {}
    for name, value in given.items():
        part = name.split('.')[0]
        if part in own_parts or not part.startswith('layer'):
            used[name] = value
    return used


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
            f'expected a checkpoint of this model, of an mmdet Mask R-CNN, or of its ResNet'
        )
    return prefixes[known.index(max(known))]


def _by_class(name: str) -> bool:
    return any(part in _BY_CLASS for part in name.split('.'))
