"""The convolutions of mmdet's mask head for inference on CPUs (He et al., Mask R-CNN, ICCV 2017).

They see another number of regions in every frame, for which a weight in oneDNN's own memory order
would be reordered again and again.
"""

from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import nn

from .packed_layers import PackedConv2d, can_pack
from .winograd import WinogradConv2d


def pack_mask_head(head: Any) -> None:
    """Replace, in place, the convolutions of a mask head that Winograd makes faster.

    Args:
        head: a mask head with folded batch norms; others than mmdet's plain one stay as they are.
    """
    if type(head) is not FCNMaskHead:
        return
    for name, module in list(head.convs.named_children()):
        if not _is_plain(module):
            continue
        layer = PackedConv2d(module.conv, relu=True)
        if WinogradConv2d.can_replace(layer):
            head.convs.add_module(name, WinogradConv2d(layer, any_number=True))


def _is_plain(module: nn.Module) -> bool:
    """Say whether a module is no more than a convolution and a ReLU, its batch norm folded, in
    float32: bfloat16 is as fast by itself.
    """
    if not isinstance(module, ConvModule) or not can_pack(module.conv):
        return False
    if module.conv.weight.dtype != torch.float32:
        return False
    has_norm = module.with_norm and not isinstance(module.norm, nn.Identity)
    is_rectified = module.with_activation and isinstance(module.activate, nn.ReLU)
    return is_rectified and not has_norm
