"""RPNHead: mmdet's RPN head with its rectifier in place (Ren et al., Faster R-CNN, NeurIPS 2015).

At the finest level of a 640 x 360 frame a second copy of the hidden map is 16 MB, whose pages cost
a CPU more than the rectifier. In training some dozens of sampled anchors have a loss, so most cells
have no gradient.
"""

from __future__ import annotations

from typing import Any

from mmdet.models.dense_heads import RPNHead as _RPNHead
from torch import Tensor, nn

from mmvos.ops.sparse_gradient import can_convolve, convolve
from mmvos.registry import MODELS


@MODELS.register_module()
class RPNHead(_RPNHead):
    """See mmdet's ``RPNHead``; same weights, same numbers."""

    rpn_conv: Any
    relu: nn.Module

    def _init_layers(self) -> None:
        super()._init_layers()
        self.relu = nn.ReLU(inplace=True)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, A, H, W) and deltas (B, 4A, H, W) of the A anchors of each cell of one level
        (B, C, H, W).
        """
        if self.training and can_convolve(self.rpn_conv, x):
            hidden = convolve(self.rpn_conv, x)
        else:
            hidden = self.rpn_conv(x)
        x = self.relu(hidden)
        return self.rpn_cls(x), self.rpn_reg(x)
