"""FusedBlock: a residual block as a few fused convolutions, for inference on CPUs (He et al., Deep
Residual Learning for Image Recognition, CVPR 2016).

The batch norms of the ResNet have been folded before. The numbers are the same up to rounding.
B images, C channels in, K channels out.
"""

from __future__ import annotations

from typing import Any

from mmdet.models.backbones.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from .packed_layers import PackedConv2d, can_pack


class FusedBlock(nn.Module):
    """A residual block: every convolution with its ReLU, the last also with the sum.

    Args:
        block: mmdet's block, batch norms folded.
        owns_input: whether nobody else reads the block's input, so that the sum may be written over
            it.
    """

    def __init__(self, block: BasicBlock | Bottleneck, owns_input: bool) -> None:
        super().__init__()
        self.owns_input = owns_input
        self.convolutions = nn.ModuleList(
            PackedConv2d(layer, relu=True) for layer in _layers(block, 'conv')
        )
        self.shortcut: PackedConv2d | None = None
        if block.downsample is not None:
            (layer,) = _shortcut_layers(block)
            self.shortcut = PackedConv2d(layer, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, C, H, W) into (B, K, H', W')."""
        identity = x
        if self.shortcut is not None:
            identity = self.shortcut(x)
        layers: list[Any] = list(self.convolutions)
        *first, last = layers
        for layer in first:
            x = layer(x)
        # The last one adds to the shortcut, in its memory where that is the block's own.
        if self.owns_input or self.shortcut is not None:
            fused: Tensor = last.add_to(identity, x)
        else:
            fused = last(x, identity)
        return fused


def fuse_resnet(backbone: ResNet, stem: bool) -> None:
    """Replace, in place, the ordinary blocks of a ResNet whose batch norms are folded.

    Args:
        backbone: mmdet's ResNet.
        stem: whether the stem's convolution and ReLU become one layer too.
    """
    for name in backbone.res_layers:
        stage = getattr(backbone, name)
        for position, block in enumerate(stage):
            if _is_ordinary(block):
                # A stage's output is read by others, what goes from block to block is not.
                stage[position] = FusedBlock(block, owns_input=position > 0)
    if stem and _has_ordinary_stem(backbone):
        backbone.conv1 = PackedConv2d(backbone.conv1, relu=True)
        backbone.relu = nn.Identity()


def _has_ordinary_stem(backbone: ResNet) -> bool:
    if backbone.deep_stem or not can_pack(backbone.conv1):
        return False
    return isinstance(backbone.norm1, nn.Identity)


def _is_ordinary(block: nn.Module) -> bool:
    """Say whether a block is plain convolutions, its shortcut at most one, without plugins."""
    if not isinstance(block, (BasicBlock, Bottleneck)):
        return False
    if getattr(block, 'with_plugins', False):
        return False
    shortcut = _shortcut_layers(block)
    norms_are_folded = all(isinstance(norm, nn.Identity) for norm in _layers(block, 'norm'))
    convolutions_can_pack = all(can_pack(layer) for layer in _layers(block, 'conv') + shortcut)
    return len(shortcut) <= 1 and norms_are_folded and convolutions_can_pack


def _layers(block: nn.Module, kind: str) -> list[Any]:
    """Return the block's layers of a kind, 'conv' or 'norm', in their order."""
    names = [f'{kind}{number}' for number in (1, 2, 3)]
    return [getattr(block, name) for name in names if hasattr(block, name)]


def _shortcut_layers(block: BasicBlock | Bottleneck) -> list[Any]:
    """Return the layers of the block's shortcut, without what is left of batch norms."""
    if block.downsample is None:
        return []
    return [layer for layer in block.downsample if not isinstance(layer, nn.Identity)]
