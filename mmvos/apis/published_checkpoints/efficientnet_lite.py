"""An EfficientNet-Lite0 of ImageNet, with the names of its PyTorch release, as the start of an
``EfficientNetLite``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping

from torch import Tensor

KIND = 'EfficientNet-Lite0'
_OURS = 'tracker.backbone.'
# Number of the first block of each stage.
_FIRST_BLOCKS = (0, 1, 3, 5, 8, 11, 15)
_PARTS = {
    '_expand_conv': 'expand_conv',
    '_bn0': 'expand_norm',
    '_depthwise_conv': 'depthwise_conv',
    '_bn1': 'depthwise_norm',
    '_project_conv': 'project_conv',
    '_bn2': 'project_norm',
}


def recognises(weights: Mapping[str, Tensor]) -> bool:
    """Whether names are those of the released EfficientNet-Lite."""
    return {'_conv_stem.weight', '_blocks.0._depthwise_conv.weight'} <= set(weights)


def convert(weights: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """Give by our names the released names and tensors of stem and stages, without what is behind
    them.
    """
    converted = {}
    for name, tensor in weights.items():
        ours = _our_name(name)
        if ours is not None:
            converted[_OURS + ours] = (name, tensor)
    return converted


def _our_name(name: str) -> str | None:
    """Our name of a released tensor; None where it is not used."""
    if name.startswith('_conv_stem.'):
        return name.replace('_conv_stem', 'stem_conv')
    if re.match(r'_bn0\.', name):
        return name.replace('_bn0', 'stem_norm')
    match = re.fullmatch(r'_blocks\.(\d+)\.(\w+?)\.(\w+)', name)
    if match is None:
        return None
    number = int(match[1])
    part = _PARTS[match[2]]
    leaf = match[3]
    # The release counts blocks through all stages, here they are counted in their stage.
    stage = bisect_right(_FIRST_BLOCKS, number) - 1
    block = number - _FIRST_BLOCKS[stage]
    return f'stages.{stage}.{block}.{part}.{leaf}'
