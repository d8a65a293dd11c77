"""EfficientNetLite: a light ImageNet backbone.

EfficientNet: Tan and Le, ICML 2019; the Lite variants (no squeeze-and-excitation, ReLU6, stem not
scaled) are TensorFlow's for mobile devices. A block is MobileNetV2's inverted residual (Sandler et
al., CVPR 2018): 1x1 expansion, k x k depth-wise convolution, 1x1 projection.

B images of H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.registry import MODELS

_EPS = 1e-3  # of the batch norms, as in the published weights


@dataclass(frozen=True)
class _Stage:
    """Repeated blocks of one resolution: how many, kernel, stride of the first, width."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


# Lite0; stages 0 to 4 reach stride 16, the last two stride 32.
_LITE0 = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
_LAST_STAGES = {2: 0, 4: 1, 8: 2, 16: 4, 32: 6}  # of each stride


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's padding: the larger half goes to the right and the bottom."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        kernel = self.kernel_size[0]
        stride = self.stride[0]
        half = kernel // 2

        # What the convolution itself can pad, without a copy of its input.
        down = _same_padding(x.shape[2], kernel, stride)
        across = _same_padding(x.shape[3], kernel, stride)
        if down == across == 2 * half:
            return F.conv2d(x, self.weight, self.bias, stride, half, 1, self.groups)

        # What is padded unequally.
        left = across // 2
        right = across - left
        top = down // 2
        bottom = down - top
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, self.bias, stride, 0, 1, self.groups)


class _InvertedResidual(nn.Module):
    """Expansion, depth-wise convolution and projection, with a sum where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        # The first stage has no expansion.
        self.expand_conv: nn.Conv2d | None = None
        self.expand_norm: nn.BatchNorm2d | None = None
        if expansion > 1:
            self.expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self.expand_norm = nn.BatchNorm2d(width, _EPS)

        self.depthwise_conv = SameConv(width, width, kernel, stride, groups=width)
        self.depthwise_norm = nn.BatchNorm2d(width, _EPS)
        self.project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(outputs, _EPS)
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride)."""
        y = x
        # expansion: (B, C, h, w) -> (B, width, h, w)
        if self.expand_conv is not None and self.expand_norm is not None:
            y = self.expand_conv(y)
            y = self.expand_norm(y)
            y = F.relu6(y, inplace=True)

        # depth-wise: (B, width, h / stride, w / stride)
        y = self.depthwise_conv(y)
        y = self.depthwise_norm(y)
        y = F.relu6(y, inplace=True)

        # projection: (B, C', h / stride, w / stride)
        y = self.project_conv(y)
        y = self.project_norm(y)
        if self.has_skip:
            y = x + y
        return y


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite0, to stride 16 by default.

    Batch norms keep their statistics and scales (they are as published, also in training). Images
    are RGB, (x - 127) / 128.

    Args:
        out_strides: strides of the levels that are given. Those of 2, 4, 8, 16 and 32 have 16, 24,
            40, 112 and 320 channels.
        init_cfg: mmengine's weight initialization.
    """

    def __init__(
        self,
        out_strides: Sequence[int] = (2, 4, 8, 16),
        init_cfg: dict[str, object] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self._out_stages = [_LAST_STAGES[stride] for stride in out_strides]
        self.stem_conv = SameConv(3, STEM_CHANNELS, 3, 2)
        self.stem_norm = nn.BatchNorm2d(STEM_CHANNELS, _EPS)
        self.stages = nn.ModuleList()
        channels = STEM_CHANNELS
        for stage in _LITE0[: max(self._out_stages) + 1]:
            blocks = nn.Sequential()
            for index in range(stage.repeats):
                stride = stage.stride if index == 0 else 1
                block = _InvertedResidual(
                    channels, stage.channels, stage.kernel, stride, stage.expansion
                )
                blocks.append(block)
                channels = stage.channels
            self.stages.append(blocks)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNetLite:
        """As every module, but batch norms keep their statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Give the feature maps of images, fine to coarse.

        Args:
            x: (B, 3, H, W) normalized.

        Returns:
            By default (B, 16, H/2, W/2), (B, 24, H/4, W/4), (B, 40, H/8, W/8) and
            (B, 112, H/16, W/16).
        """
        return self._levels(self.stem_conv(x))

    def _levels(self, x: Tensor) -> tuple[Tensor, ...]:
        """The levels from what the stem's convolution gives, (B, 32, H/2, W/2)."""
        x = F.relu6(self.stem_norm(x), inplace=True)
        levels = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self._out_stages:
                levels.append(x)
        return tuple(levels)


def _same_padding(length: int, kernel: int, stride: int) -> int:
    """Pixels to add to a side so that the output has ceil(length / stride) of them."""
    outputs = -(-length // stride)
    return max((outputs - 1) * stride + kernel - length, 0)
