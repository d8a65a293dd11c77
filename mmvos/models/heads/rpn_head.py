"""RPNHead: mmdet's RPN head with its rectifier in place (Ren et al., Faster R-CNN, NeurIPS 2015).

At the finest level of a 640 x 360 frame a second copy of the hidden map is 16 MB, whose pages cost
a CPU more than the rectifier.
"""

from __future__ import annotations

from mmdet.models.dense_heads import RPNHead as _RPNHead
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.ops.packed_layers import PackedConv2d, can_pack
from mmvos.registry import MODELS


@MODELS.register_module()
class RPNHead(_RPNHead):
    """See mmdet's ``RPNHead``; same weights, same numbers."""

    rpn_conv: nn.Module

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, A, H, W) and deltas (B, 4A, H, W) of the A anchors of each cell of one level
        (B, C, H, W).
        """
        x = self.rpn_conv(x)
        if not isinstance(self.rpn_conv, PackedConv2d):
            x = F.relu(x, inplace=True)
        return self.rpn_cls(x), self.rpn_reg(x)

    def pack(self) -> None:
        """Makes it faster for inference, for good, where the CPU's convolutions can be packed."""
        if can_pack(self.rpn_conv):
            self.rpn_conv = PackedConv2d(self.rpn_conv, relu=True)
