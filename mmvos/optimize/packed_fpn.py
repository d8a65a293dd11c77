"""PackedFPN: mmdet's feature pyramid for inference on CPUs (Lin et al., Feature Pyramid Networks,
CVPR 2017).

The top-down path upsamples by two with the nearest neighbor. As a broadcast that needs no memory of
its own; the upsampled map would have 16 MB at the finest level of a 640 x 360 frame. The numbers
are the same. B images, C channels.
"""

from __future__ import annotations

from typing import Any

from mmcv.cnn import ConvModule
from mmdet.models.necks import FPN
from torch import Tensor, nn
from torch.nn import functional as F

from .packed_layers import PackedConv2d, can_pack


def can_pack_fpn(neck: Any) -> bool:
    """Say whether ``PackedFPN`` can replace a neck.

    It can replace an FPN without activations, whose extra levels are subsampled ones.
    """
    if type(neck) is not FPN:
        return False
    if neck.add_extra_convs or neck.start_level != 0 or neck.upsample_cfg != {'mode': 'nearest'}:
        return False
    return all(_is_plain(module) for module in [*neck.lateral_convs, *neck.fpn_convs])


def _is_plain(module: ConvModule) -> bool:
    """Say whether a module is no more than a convolution, its batch norm folded."""
    has_norm = module.with_norm and not isinstance(module.norm, nn.Identity)
    return can_pack(module.conv) and not module.with_activation and not has_norm


class PackedFPN(nn.Module):
    """The pyramid of an FPN whose batch norms are folded.

    Args:
        neck: mmdet's neck, for which ``can_pack_fpn`` holds.
    """

    def __init__(self, neck: FPN) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            PackedConv2d(module.conv, relu=False) for module in neck.lateral_convs
        )
        self.outputs = nn.ModuleList(
            PackedConv2d(module.conv, relu=False) for module in neck.fpn_convs
        )
        self.level_count = neck.num_outs

    def forward(self, stages: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Turn backbone stages, fine to coarse, into ``level_count`` maps of one width."""
        maps = [lateral(stage) for lateral, stage in zip(self.laterals, stages)]

        # top-down: each level takes up the one above it
        for level in reversed(range(len(maps) - 1)):
            _add_upsampled(maps[level], maps[level + 1])
        pyramid = [output(level) for output, level in zip(self.outputs, maps)]
        while len(pyramid) < self.level_count:
            pyramid.append(F.max_pool2d(pyramid[-1], 1, stride=2))
        return tuple(pyramid)


def _add_upsampled(fine: Tensor, coarse: Tensor) -> None:
    """Add (B, C, h, w), upsampled to the size of (B, C, H, W), to the latter in place."""
    batch, channels, height, width = coarse.shape
    fine_cells = fine.permute(0, 2, 3, 1)
    if fine.shape[2:] == (2 * height, 2 * width) and fine_cells.is_contiguous():
        # (B, h, 2, w, 2, C) += (B, h, 1, w, 1, C)
        blocks = fine_cells.view(batch, height, 2, width, 2, channels)
        blocks += coarse.permute(0, 2, 3, 1).view(batch, height, 1, width, 1, channels)
    else:
        fine += F.interpolate(coarse, size=fine.shape[2:])
