"""TopDown: mmdet's FPN for inference on CPUs, its sums done in place (Lin et al., Feature Pyramid
Networks, CVPR 2017).

The nearest-neighbor upsampling by two is a broadcast, so the upsampled map (16 MB at the finest
level of a 640 x 360 frame) is never made. Same numbers.
"""

from __future__ import annotations

from typing import Any

from mmcv.cnn import ConvModule
from mmdet.models.necks import FPN
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.ops.packed_layers import PackedConv2d, can_pack


def can_stream(neck: Any) -> bool:
    """Whether ``TopDown`` can stand for a neck: an FPN without activations whose further levels are
    subsampled.
    """
    if (
        type(neck) is not FPN
        or neck.add_extra_convs
        or neck.start_level != 0
        or neck.upsample_cfg != {'mode': 'nearest'}
    ):
        return False
    return all(map(_is_plain, [*neck.lateral_convs, *neck.fpn_convs]))


def _is_plain(module: ConvModule) -> bool:
    return (
        can_pack(module.conv)
        and not module.with_activation
        and (not module.with_norm or isinstance(module.norm, nn.Identity))
    )


class TopDown(nn.Module):
    """The pyramid of an FPN, batch norms folded.

    Args:
        neck: mmdet's neck; ``can_stream(neck)`` holds.
    """

    def __init__(self, neck: FPN) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            PackedConv2d(module.conv, relu=False) for module in neck.lateral_convs
        )
        self.outputs = nn.ModuleList(
            PackedConv2d(module.conv, relu=False) for module in neck.fpn_convs
        )
        self.levels = neck.num_outs

    def forward(self, stages: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Backbone stages, fine to coarse, to ``levels`` maps of one width."""
        maps = [layer(stage) for layer, stage in zip(self.laterals, stages)]
        for fine, coarse in zip(maps[-2::-1], maps[:0:-1]):
            _add_upsampled(fine, coarse)
        pyramid = [layer(level) for layer, level in zip(self.outputs, maps)]
        while len(pyramid) < self.levels:
            pyramid.append(F.max_pool2d(pyramid[-1], 1, stride=2))
        return tuple(pyramid)


def _add_upsampled(fine: Tensor, coarse: Tensor) -> None:
    """Adds (B, C, h, w), upsampled to the size of (B, C, H, W), to the latter in place."""
    batch, channels, height, width = coarse.shape
    if fine.shape[2:] == (2 * height, 2 * width) and fine.permute(0, 2, 3, 1).is_contiguous():
        cells = fine.permute(0, 2, 3, 1).view(batch, height, 2, width, 2, channels)
        cells += coarse.permute(0, 2, 3, 1).view(batch, height, 1, width, 1, channels)
    else:
        fine += F.interpolate(coarse, size=fine.shape[2:])
