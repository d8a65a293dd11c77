"""CropFeatures: a siamese tracker's features, of windows cut out of the image (Wang et al.,
SiamMask, CVPR 2019).

One backbone pass over the windows of all objects as a batch. K windows of S x S pixels, n x n
cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.backbones import ResNet
from mmengine.model import BaseModule
from numpy.typing import NDArray
from torch import Tensor, nn

from mmvos.ops.crop import BORDER_CELLS, Window, cut_cells, cut_window
from mmvos.registry import MODELS
from mmvos.structures import Frame

Levels = tuple[Tensor, ...]
Color = tuple[int, int, int]
# cells of a mask's patch in stem, stage 1, stage 2, and how many per cell of stage 2
PATCHES = ((61, 4), (31, 2), (15, 1))
# stage 2 cells from which on a search window is a whole one, at whose border patches reach outside
_WHOLE = 20


@MODELS.register_module()
class CropFeatures(BaseModule):
    """Backbone and adjusting layer, on windows.

    Args:
        backbone: config of a ``SiameseResNet``.
        adjust: config of a ``AdjustLayer``.
    """

    def __init__(self, backbone: dict[str, Any], adjust: dict[str, Any]) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.adjust = MODELS.build(adjust)

    def forward(self, windows: Tensor) -> tuple[Tensor, Levels]:
        """Features of windows (K, 3, S, S), BGR from 0 to 255.

        Returns:
            (K, C, n, n) adjusted, and stem, stage 1 and stage 2, from which masks are refined. S =
            127, 143, 255 give n = 7, 9, 31.
        """
        stem, first, second, third = self.backbone(
            windows.contiguous(memory_format=torch.channels_last)
        )
        return self.adjust(third), (stem, first, second)

    def look(
        self, frame: Frame, windows: Sequence[Window], colors: Sequence[Color], size: int
    ) -> tuple[Tensor, Levels]:
        """Features of windows of a frame.

        Args:
            frame: BGR from 0 to 255, not normalised.
            windows: K of them.
            colors: of each what is seen outside the frame.
            size: S.
        """
        height, width = frame.meta.network_shape
        rows, columns = (
            _span([(y, side) for _, y, side in windows], height),
            _span([(x, side) for x, _, side in windows], width),
        )
        image, left, top = _pixels(frame, rows, columns), columns.start, rows.start
        cut = np.stack(
            [
                cut_window(image, (x - left, y - top, side), color, size)
                for (x, y, side), color in zip(windows, colors, strict=True)
            ]
        )
        return self(torch.from_numpy(cut).to(frame.image.device).permute(0, 3, 1, 2).float())

    @staticmethod
    def patches(levels: Levels, index: Tensor) -> Levels:
        """What the mask of each cell is refined from.

        Args:
            levels: from ``forward`` or ``look``.
            index: (P, 3) int64 rows (window, row, column).

        Returns:
            (P, 64, 61, 61), (P, 256, 31, 31), (P, 512, 15, 15).
        """
        margin = BORDER_CELLS if levels[2].shape[3] >= _WHOLE else 0
        windows, corners = index[:, 0].tolist(), (index[:, 1:] - margin).tolist()
        return tuple(
            cut_cells(
                level, windows, [(row * cells, column * cells) for row, column in corners], size
            )
            for level, (size, cells) in zip(levels, PATCHES, strict=True)
        )

    @staticmethod
    def color(frame: Frame) -> Color:
        """The mean colour of a frame, truncated, with which the surroundings of an object that
        starts in it are filled.
        """
        height, width = frame.meta.network_shape
        image = _pixels(frame, slice(0, height), slice(0, width))
        blue, green, red = (
            image.sum(axis=(0, 1), dtype=np.int64) // (image.shape[0] * image.shape[1])
        ).tolist()
        return blue, green, red


def _span(lines: Sequence[tuple[int, int]], length: int) -> slice:
    """The part of 0 to ``length`` in which all lines (begin, length) lie as far as they lie in it
    at all.
    """
    begin = min(min(max(first, 0), length) for first, _ in lines)
    return slice(begin, max(begin, *(min(first + size, length) for first, size in lines)))


def _pixels(frame: Frame, rows: slice, columns: slice) -> NDArray[np.uint8]:
    """(h, w, 3) of rows and columns of the frame's valid part."""
    image = frame.image[0, :, rows, columns].permute(1, 2, 0)
    return np.ascontiguousarray(image.round().clamp(0, 255).to(torch.uint8).cpu().numpy())


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
