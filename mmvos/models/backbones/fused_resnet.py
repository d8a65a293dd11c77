"""Makes an mmdet ResNet, whose batch norms have been folded, faster on CPUs: every block as a few
fused convolutions.

He et al., Deep Residual Learning for Image Recognition, CVPR 2016. For inference only; same numbers
up to rounding.
"""

from __future__ import annotations

from mmdet.models.backbones.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from mmvos.ops.packed_layers import PackedConv2d, can_pack


class FusedBlock(nn.Module):
    """A residual block: convolutions with rectifiers, the last with the sum.

    Args:
        block: mmdet's block, batch norms folded.
    """

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        convolutions = [
            getattr(block, name) for name in ('conv1', 'conv2', 'conv3') if hasattr(block, name)
        ]
        self.convolutions = nn.ModuleList(PackedConv2d(layer, relu=True) for layer in convolutions)
        self.shortcut = None
        if block.downsample is not None:
            (layer,) = (item for item in block.downsample if not isinstance(item, nn.Identity))
            self.shortcut = PackedConv2d(layer, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H', W')."""
        identity = x if self.shortcut is None else self.shortcut(x)
        *first, last = self.convolutions
        for layer in first:
            x = layer(x)
        fused: Tensor = last(x, identity)
        return fused


def fuse_resnet(backbone: nn.Module, stem: bool = True) -> None:
    """Replaces, in place, the blocks of an mmdet ``ResNet`` as far as they are ordinary ones, and
    its stem if ``stem``.
    """
    if not isinstance(backbone, ResNet):
        return
    for name in backbone.res_layers:
        stage = getattr(backbone, name)
        for position, block in enumerate(stage):
            if _is_ordinary(block):
                stage[position] = FusedBlock(block)
    if (
        stem
        and not backbone.deep_stem
        and can_pack(backbone.conv1)
        and isinstance(backbone.norm1, nn.Identity)
    ):
        backbone.conv1 = PackedConv2d(backbone.conv1, relu=True)
        backbone.relu = nn.Identity()


def _is_ordinary(block: nn.Module) -> bool:
    """A block of plain convolutions with folded batch norms, without plugins, whose shortcut is at
    most one convolution.
    """
    if not isinstance(block, (BasicBlock, Bottleneck)) or getattr(block, 'with_plugins', False):
        return False
    shortcut = (
        []
        if block.downsample is None
        else [m for m in block.downsample if not isinstance(m, nn.Identity)]
    )
    layers = [
        getattr(block, name) for name in ('conv1', 'conv2', 'conv3') if hasattr(block, name)
    ] + shortcut
    norms = [getattr(block, name) for name in ('norm1', 'norm2', 'norm3') if hasattr(block, name)]
    return (
        len(shortcut) <= 1
        and all(map(can_pack, layers))
        and all(isinstance(norm, nn.Identity) for norm in norms)
    )
