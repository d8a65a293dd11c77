"""Published SiamMask weights (github.com/foolwood/SiamMask), and pysot's siammask, which names the
same tensors otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

KIND = 'SiamMask'
_OURS = 'tracker.'
# Where the parts stand in SiamMask's files, in pysot's, and here.
_PARTS = (
    ('features.features.', 'backbone.', 'features.backbone.'),
    (
        'features.downsample.downsample.0.',
        'neck.downsample.downsample.0.',
        'features.adjust.layer.conv.',
    ),
    (
        'features.downsample.downsample.1.',
        'neck.downsample.downsample.1.',
        'features.adjust.layer.bn.',
    ),
    ('refine_model.', 'refine_head.', 'head.refine.'),
)
_TOWERS = {
    'rpn_model.cls.': 'score',
    'rpn_model.loc.': 'box',
    'mask_model.mask.': 'mask',
    'rpn_head.cls.': 'score',
    'rpn_head.loc.': 'box',
    'mask_head.': 'mask',
}
_INNER = {'conv_kernel.': 'neck.kernel.{}.', 'conv_search.': 'neck.search.{}.', 'head.': 'head.{}.'}


def recognises(weights: Mapping[str, Tensor]) -> bool:
    """Whether names are those of a SiamRPN or SiamMask."""
    return any(
        name.startswith(('rpn_model.cls.', 'rpn_head.cls.', 'features.features.'))
        for name in weights
    )


def convert(weights: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """Give by our names the published names and tensors; they are the same tensors.

    Raises:
        ValueError: there are no masks in it, or a weight is there by both names.
    """
    if not any(name.startswith(('mask_model.', 'mask_head.')) for name in weights):
        raise ValueError(
            'it is a SiamRPN without masks (no mask_model and no mask_head), not a SiamMask'
        )
    renamed: dict[str, tuple[str, Tensor]] = {}
    for name, tensor in weights.items():
        other, _ = renamed.setdefault(_rename(name), (name, tensor))
        if other != name:
            raise ValueError(
                f'{other} and {name} are the same weight, by the names of SiamMask and of pysot'
            )
    return renamed


def _rename(name: str) -> str:
    """Our name; a name that is not known stays as it is."""
    for old, pysot, ours in _PARTS:
        for prefix in (old, pysot):
            if name.startswith(prefix):
                return _OURS + ours + name.removeprefix(prefix)
    for prefix, branch in _TOWERS.items():
        for part, ours in _INNER.items():
            if name.startswith(prefix + part):
                return _OURS + ours.format(branch) + name.removeprefix(prefix + part)
    return name
