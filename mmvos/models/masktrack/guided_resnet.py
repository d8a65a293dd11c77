"""GuidedResNet: a ResNet whose stem also sees a guide, the mask of the previous frame.

Perazzi et al., Learning Video Object Segmentation from Static Images, CVPR 2017, section 3.1. The
guide has a convolution of its own beside the RGB one, which is the same as a fourth input channel,
but keeps pretrained weights and 3-channel preprocessing. B images of H x W pixels.
"""

from __future__ import annotations

from typing import Any

from mmdet.models.backbones import ResNet
from torch import Tensor, nn

from mmvos.registry import MODELS


@MODELS.register_module()
class GuidedResNet(ResNet):
    """mmdet's ``ResNet`` with a guide; without one, or with a guide of zeros, it is that ResNet.

    Args:
        out_stem: also give the stem's features (64 channels at stride 2), before the others.
        kwargs: see mmdet's ``ResNet``; ``deep_stem`` is not supported.
    """

    def __init__(self, out_stem: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.deep_stem:
            raise ValueError('GuidedResNet adds the guide to the 7x7 stem; deep_stem has none')
        self.out_stem = out_stem
        self.guide_conv = nn.Conv2d(1, self.conv1.out_channels, 7, stride=2, padding=3, bias=False)
        nn.init.zeros_(self.guide_conv.weight)

    def init_weights(self) -> None:
        """mmdet's initialisation, which draws all convolutions at random; the guide's is zero again
        afterwards.
        """
        super().init_weights()
        pretrained = isinstance(self.init_cfg, dict) and self.init_cfg.get('type') == 'Pretrained'
        if not pretrained:  # a checkpoint may have a trained one
            nn.init.zeros_(self.guide_conv.weight)

    def forward(self, x: Tensor, guide: Tensor | None = None) -> tuple[Tensor, ...]:
        """Feature maps of (B, 3, H, W) images, fine to coarse.

        Args:
            x: normalised images.
            guide: (B, 1, H, W) in [-1, 1]: +1 object, -1 background, 0 unknown.
        """
        x = self.conv1(x)
        if guide is not None:
            x = x + self.guide_conv(guide)
        x = self.relu(self.norm1(x))
        levels = [x] if self.out_stem else []
        x = self.maxpool(x)
        for number, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if number in self.out_indices:
                levels.append(x)
        return tuple(levels)
