"""SiameseResNet: the ResNet-50 of SiamMask (Wang et al., Fast Online Object Tracking and
Segmentation, CVPR 2019, appendix A).

Three stages of stride 8 in all; the stem and the convolutions of stride 2 have no padding, and the
shortcuts of stages 2 and 3 are 3x3. So cell m of stages 2 and 3 sees pixel 8 m + 7, of stage 1
pixel 4 m + 3, of the stem pixel 2 m + 3. B images of H x W pixels.
"""

from __future__ import annotations

from typing import Any

from mmdet.models.backbones import ResNet
from torch import Tensor, nn

from mmvos.registry import MODELS


@MODELS.register_module()
class SiameseResNet(ResNet):
    """mmdet's ``ResNet`` with the paddings and shortcuts that the published weights need; it takes
    BGR images of 0 to 255.

    Args:
        frozen_stages: stem and stages that are not trained; the published training trains stages 2
            and 3 in its second half.
        kwargs: see mmdet's ``ResNet``.
    """

    def __init__(self, frozen_stages: int = 1, **kwargs: Any) -> None:
        super().__init__(
            depth=50,
            num_stages=3,
            strides=(1, 2, 1),
            dilations=(1, 1, 2),
            out_indices=(0, 1, 2),
            frozen_stages=frozen_stages,
            norm_eval=True,
            style='pytorch',
            **kwargs,
        )
        self.conv1.padding = (0, 0)
        strided, dilated = self.layer2[0], self.layer3[0]
        strided.conv2.padding = (0, 0)
        strided.downsample[0] = _wide(strided.downsample[0], stride=2, padding=0)
        # the first block of a stage is not dilated
        dilated.conv2.padding = dilated.conv2.dilation = (1, 1)
        dilated.downsample[0] = _wide(dilated.downsample[0], stride=1, padding=1)
        self._freeze_stages()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Stem (B, 64, H / 2, W / 2), stage 1 (B, 256, H / 4, W / 4), stages 2 and 3 (B, 512 and
        1024, H / 8, W / 8), about.

        255 pixels give 125, 63, 31, 31 cells; 127 give 61, 31, 15, 15.
        """
        stem = self.relu(self.norm1(self.conv1(x)))
        first = self.layer1(self.maxpool(stem))
        second = self.layer2(first)
        return stem, first, second, self.layer3(second)


def _wide(shortcut: nn.Conv2d, stride: int, padding: int) -> nn.Conv2d:
    """A 3x3 shortcut instead of a 1x1 one."""
    return nn.Conv2d(
        shortcut.in_channels, shortcut.out_channels, 3, stride=stride, padding=padding, bias=False
    )
