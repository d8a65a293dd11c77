"""Published checkpoints in the layout of our models: every tensor of a file is accounted for, and
every one of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from . import efficientnet_lite, imagenet_resnet, masktrack_rcnn, siammask

_LAYOUTS = (siammask, masktrack_rcnn, imagenet_resnet, efficientnet_lite)
_COUNTER = 'num_batches_tracked'  # which torch before 0.4.1 did not write
_SHOWN = 3


@dataclass(frozen=True)
class Converted:
    """Weights of a published file by our names.

    Attributes:
        kind: what the file is.
        weights: name in our model -> tensor.
    """

    kind: str
    weights: dict[str, Tensor]


def convert_weights(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str
) -> Converted:
    """Convert the weights of a published file.

    Args:
        given: the file's, without ``module.``.
        own: state dict of the model they are for. A ResNet fills the model's backbone only,
            anything else all of it.
        source: the file, for messages.

    Raises:
        ValueError: the file is of no known kind, or a weight is left over, missing, or of another
            shape.
    """
    # Which kind of file it is shows in its names.
    layout = next((item for item in _LAYOUTS if item.recognises(given)), None)
    if layout is None:
        raise ValueError(
            f'{source} is of no kind that can be converted (it has {_some(list(given))}); known '
            f'are SiamMask and pysot siammask files, the published MaskTrack R-CNN, ResNet-50 with '
            f'the names of torchvision, and EfficientNet-Lite0'
        )
    try:
        renamed = layout.convert(given)
    except ValueError as error:
        raise ValueError(f'{source} cannot be converted: {error}') from error

    # A backbone goes to where the model has one.
    if layout is efficientnet_lite:
        renamed = _move_backbone(renamed, own)
    _check_model(layout.KIND, renamed, own, source)

    # Every weight must have its place, and every place its weight.
    only_backbone = layout in (imagenet_resnet, efficientnet_lite)
    needed = _needed_weights(own, only_backbone)
    faults = _compare(renamed, needed)
    if faults:
        raise ValueError(
            f'{source}, a {layout.KIND}, does not fit the model of the config: {"; ".join(faults)}'
        )

    # In the types of the model.
    weights = {}
    for name, (_, tensor) in renamed.items():
        weights[name] = tensor.to(needed[name].dtype)
    return Converted(layout.KIND, weights)


def _move_backbone(
    renamed: Mapping[str, tuple[str, Tensor]], own: Mapping[str, Tensor]
) -> dict[str, tuple[str, Tensor]]:
    """Rename a tracker's backbone to where the model has one (a detector's, or that of a tracker's
    features), without the last stages where the model does without them.
    """
    # Where the model's backbone is, by its stem.
    given_prefix = 'tracker.backbone.'
    prefix = given_prefix
    stem = 'stem_conv.weight'
    for name in own:
        if name.endswith(f'backbone.{stem}'):
            prefix = name.removesuffix(stem)
            break

    # stages.N.M of the model.
    blocks = set()
    for name in own:
        if name.startswith(prefix):
            blocks.add(_block_of(name.removeprefix(prefix)))

    moved = {}
    for name, given in renamed.items():
        name = name.removeprefix(given_prefix)
        is_of_stage = name.startswith('stages.')
        if not is_of_stage or _block_of(name) in blocks:
            moved[prefix + name] = given
    return moved


def _block_of(name: str) -> str:
    """Return the name of a weight without its last three parts."""
    return name.rsplit('.', 3)[0]


def _compare(renamed: Mapping[str, tuple[str, Tensor]], needed: Mapping[str, Tensor]) -> list[str]:
    """Say in what converted weights differ from those that the model needs; nothing where they fit.

    Args:
        renamed: our name -> published name and tensor.
        needed: our name -> tensor of the model.
    """
    # Counters of batches are not needed.
    surplus = []
    resized = []
    for name, (published, tensor) in renamed.items():
        if name not in needed:
            surplus.append(published)
        elif tensor.shape != needed[name].shape:
            shape = tuple(tensor.shape)
            own_shape = tuple(needed[name].shape)
            resized.append(f'{published} {shape} instead of {own_shape}')
    missing = [name for name in needed if name not in renamed and not name.endswith(_COUNTER)]

    faults = []
    for fault, names in (
        ('the model does not know', surplus),
        ('the file does not give', missing),
        ('of another shape', resized),
    ):
        if names:
            faults.append(f'{len(names)} weights {fault} ({_some(names)})')
    return faults


def _check_model(
    kind: str, renamed: Mapping[str, object], own: Mapping[str, Tensor], source: str
) -> None:
    """Refuse a file for a config of another method."""
    if not any(name in own for name in renamed):
        raise ValueError(
            f'{source} is a {kind}, but the config describes another model (its first weight: '
            f'{next(iter(own))})'
        )


def _needed_weights(own: Mapping[str, Tensor], only_backbone: bool) -> dict[str, Tensor]:
    """The weights of the model that the file must give."""
    needed = {}
    for name, tensor in own.items():
        # A guide's convolution is ours; it starts from nothing.
        if name.startswith('data_preprocessor.') or '.guide_conv.' in name:
            continue
        if '.backbone.' in name or not only_backbone:
            needed[name] = tensor
    return needed


def _some(names: list[str]) -> str:
    """The first names, for a message."""
    shown = names[:_SHOWN]
    if len(names) > _SHOWN:
        shown = [*shown, '...']
    return ', '.join(shown)
