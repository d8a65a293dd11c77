"""SiameseAdjust: backbone features to the width in which template and search are compared (Wang et
al., SiamMask, CVPR 2019).

B images, n x n cells.
"""

from __future__ import annotations

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor

from mmvos.registry import MODELS

# a map of fewer cells is a small image's, whose outer cells have seen the image's end
SMALL, RIM = 20, 4


@MODELS.register_module()
class SiameseAdjust(BaseModule):
    """A 1x1 convolution with batch norm; of small images only the middle is kept.

    Args:
        in_channels, out_channels: widths.
    """

    def __init__(self, in_channels: int = 1024, out_channels: int = 256) -> None:
        super().__init__()
        self.layer = ConvModule(
            in_channels, out_channels, 1, norm_cfg=dict(type='BN'), act_cfg=None
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, n, n) -> (B, out_channels, n, n); without the outer 4 cells where n < 20: 15 -> 7,
        17 -> 9, 31 -> 31.
        """
        adjusted: Tensor = self.layer(features)
        if adjusted.shape[3] < SMALL:
            adjusted = adjusted[:, :, RIM:-RIM, RIM:-RIM]
        return adjusted
