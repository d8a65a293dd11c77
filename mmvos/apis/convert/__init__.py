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
    """Converts the weights of a published file.

    Args:
        given: the file's, without ``module.``.
        own: state dict of the model they are for. A ResNet fills the model's backbone only,
            anything else all of it.
        source: the file, for messages.

    Raises:
        ValueError: the file is of no known kind, or a weight is left over, missing, or of another
            shape.
    """
    layout = next((item for item in _LAYOUTS if item.recognises(given)), None)
    if layout is None:
        raise ValueError(
            f'{source} is of no kind that can be converted (it has {_some(list(given))}); known '
            f'are SiamMask and '
            f'pysot siammask files, the published MaskTrack R-CNN, and ResNet-50 with the names of '
            f'torchvision'
        )
    try:
        renamed = layout.convert(given)
    except ValueError as error:
        raise ValueError(f'{source} cannot be converted: {error}') from error
    _check_model(layout.KIND, renamed, own, source)
    wanted = _wanted(own, only_backbone=layout in (imagenet_resnet, efficientnet_lite))
    surplus = [published for name, (published, _) in renamed.items() if name not in wanted]
    missing = [name for name in wanted if name not in renamed and not name.endswith(_COUNTER)]
    resized = [
        f'{published} {tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}'
        for name, (published, tensor) in renamed.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    faults = {
        'the model does not know': surplus,
        'the file does not give': missing,
        'of another shape': resized,
    }
    found = [
        f'{len(names)} weights {fault} ({_some(names)})' for fault, names in faults.items() if names
    ]
    if found:
        raise ValueError(
            f'{source}, a {layout.KIND}, does not fit the model of the config: {"; ".join(found)}'
        )
    return Converted(
        layout.KIND, {name: tensor.to(wanted[name].dtype) for name, (_, tensor) in renamed.items()}
    )


def _check_model(
    kind: str, renamed: Mapping[str, object], own: Mapping[str, Tensor], source: str
) -> None:
    """Raises:
    ValueError: the config is for another method.
    """
    if not any(name in own for name in renamed):
        raise ValueError(
            f'{source} is a {kind}, but the config describes another model (its first weight: '
            f'{next(iter(own))})'
        )


def _wanted(own: Mapping[str, Tensor], only_backbone: bool) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in own.items()
        if not name.startswith('data_preprocessor.') and ('.backbone.' in name or not only_backbone)
    }


def _some(names: list[str]) -> str:
    return ', '.join(names[:_SHOWN]) + (', ...' if len(names) > _SHOWN else '')
