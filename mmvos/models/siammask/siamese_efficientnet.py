"""SiameseEfficientNet: a light backbone for SiamMask, with the cells where SiamMask has them.

The network is an EfficientNet-Lite0 (see ``efficientnet_lite``). In windows of an even side its
padding puts cell m of stride 8 on pixel 8 m + 7, as the unpadded ResNet-50 of SiamMask has it
(Wang et al., CVPR 2019, appendix A), and those of strides 4 and 2 on pixels 4 m + 3 and 2 m + 1.

Letters for shapes: K windows of S x S pixels, S = 127, 143 or 255; m x m cells of 8 pixels.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

from mmvos.registry import MODELS

from ..efficientnet_lite import EfficientNetLite

FROZEN_STAGES = 2
# of the released network, for all three colors
_MEAN = 127.0
_STD = 128.0


@MODELS.register_module()
class SiameseEfficientNet(EfficientNetLite):
    """EfficientNet-Lite0 on windows; it takes BGR images of 0 to 255, as ``SiameseResNet`` does.

    The stem and the first stages, which reach stride 4, are not trained.

    Args:
        init_cfg: mmengine's weight initialization.
    """

    def __init__(self, init_cfg: dict[str, object] | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        # stem and first stages are not trained
        frozen = (self.stem_conv, *self.stages[:FROZEN_STAGES])
        for part in frozen:
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute four levels; 255 pixels give 125, 63, 31, 31 cells; 127 give 61, 31, 15, 15.

        Args:
            x: (K, 3, S, S).

        Returns:
            (K, 16, S / 2, S / 2), (K, 24, S / 4, S / 4), (K, 40, S / 8, S / 8), about, and the
            latter with the 112 channels of stride 16 beside, (K, 152, S / 8, S / 8).
        """
        # BGR from 0 to 255 -> RGB as the backbone takes it
        x = x.flip(1)
        x = (x - _MEAN) / _STD

        # One more row and column make the side even.
        x = F.pad(x, (0, 1, 0, 1), mode='replicate')

        # On a CPU the gradients of depth-wise convolutions take twice as long in bfloat16.
        is_slow = self.training and x.device.type == 'cpu'
        with torch.autocast(x.device.type, enabled=False) if is_slow else nullcontext():
            stride2, stride4, stride8, stride16 = super().forward(x)

        # Cells whose middle is within the window; those of stride 2 begin at pixel 3.
        stem = stride2[:, :, 1:-2, 1:-2]
        stage1 = stride4[:, :, :-1, :-1]
        stage2 = stride8[:, :, :-1, :-1]
        return stem, stage1, stage2, torch.cat([stage2, _at_stride_8(stride16)], dim=1)


def _at_stride_8(features: Tensor) -> Tensor:
    """Enlarge features of stride 16, cell q on pixel 16 q + 15, to cells m on pixels 8 m + 7.

    Args:
        features: (K, C, q, q).

    Returns:
        (K, C, 2 q - 1, 2 q - 1): odd cells are those of stride 16, even ones lie between two.
    """
    # (K, C, 2 q - 1, 2 q - 1)
    side = 2 * features.shape[3] - 1
    enlarged = F.interpolate(features, size=(side, side), mode='bilinear', align_corners=True)

    # One cell before the first, as there is none to the left or above, and none after the last.
    shifted = F.pad(enlarged, (1, 0, 1, 0), mode='replicate')
    return shifted[:, :, :-1, :-1]
