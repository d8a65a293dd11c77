"""GuidedEfficientNetLite: a light ImageNet backbone whose stem also sees a guide.

The guide (Perazzi et al., MaskTrack, CVPR 2017, section 3.1) has a convolution of its own beside
the RGB one.

B images of H x W pixels; G guide channels.
"""

from __future__ import annotations

from torch import Tensor, nn

from mmvos.registry import MODELS

from ..efficientnet_lite import STEM_CHANNELS, EfficientNetLite, SameConv


@MODELS.register_module()
class GuidedEfficientNetLite(EfficientNetLite):
    """EfficientNet-Lite0 to stride 16, with a guide; without one it is that network.

    Args:
        guide_channels: G.
        init_cfg: mmengine's weight initialization.
    """

    def __init__(self, guide_channels: int = 1, init_cfg: dict[str, object] | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        # The norm stands right behind the image's convolution, into which it can be folded.
        self.guide_conv = SameConv(guide_channels, STEM_CHANNELS, 3, 2)
        # The first step is that of a network without a guide.
        nn.init.zeros_(self.guide_conv.weight)

    def forward(self, x: Tensor, guide: Tensor | None = None) -> tuple[Tensor, ...]:
        """Give the feature maps of images, fine to coarse.

        Args:
            x: (B, 3, H, W) normalized.
            guide: (B, G, H, W).

        Returns:
            See ``EfficientNetLite``.
        """
        x = self.stem_conv(x)
        if guide is not None:
            x = x + self.guide_conv(guide)
        return self._levels(x)
