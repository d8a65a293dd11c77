"""Features of windows that are cut out of the frame, as SiamMask was published.

Wang et al., Fast Online Object Tracking and Segmentation (SiamMask), CVPR 2019, appendix A: the
windows of all objects pass the backbone as one batch. ``PyramidFeatures`` is the alternative, with
one pass over the whole frame.

Letters for shapes: K windows of S x S pixels, C channels of the adjusted features, m x m cells of 8
pixels, P cells whose mask is wanted.
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
from torch.nn import functional as F

from mmvos.ops import device_sampling
from mmvos.ops.arrays import is_on_host, to_device
from mmvos.ops.crop import visible_part
from mmvos.ops.siamese_geometry import (
    BORDER_CELLS,
    WHOLE_SEARCH_CELLS,
    Color,
    Window,
    cut_window,
)
from mmvos.registry import MODELS
from mmvos.structures import Frame

Levels = tuple[Tensor, ...]
# Of the stem, stage 1 and stage 2: the cells in a row of the patch from which a mask is refined,
# and how many of them make up one cell of stage 2.
PATCHES = ((61, 4), (31, 2), (15, 1))


@MODELS.register_module()
class CropFeatures(BaseModule):
    """Backbone and adjust layer on windows.

    Args:
        backbone: config of a ``SiameseResNet``.
        adjust: config of an ``AdjustLayer``.
    """

    def __init__(self, backbone: dict[str, Any], adjust: dict[str, Any]) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.adjust = MODELS.build(adjust)

    def forward(self, windows: Tensor) -> tuple[Tensor, Levels]:
        """Compute the features of windows.

        Args:
            windows: (K, 3, S, S), BGR from 0 to 255.

        Returns:
            (K, C, m, m) adjusted features, S = 127, 143, 255 give m = 7, 9, 31; and stem, stage 1
            and stage 2, from which masks are refined.
        """
        windows = windows.contiguous(memory_format=torch.channels_last)
        stem, stage1, stage2, stage3 = self.backbone(windows)

        # (K, 1024, m', m') -> (K, C, m, m)
        adjusted = self.adjust(stage3)
        return adjusted, (stem, stage1, stage2)

    def encode_crops(
        self, frame: Frame, windows: Sequence[Window], colors: Sequence[Color], size: int
    ) -> tuple[Tensor, Levels]:
        """Compute the features of windows of a frame.

        Args:
            frame: BGR from 0 to 255, not normalized.
            windows: K of them.
            colors: of each what is seen outside the frame.
            size: S.

        Returns:
            See ``forward``.
        """
        height, width = frame.meta.network_shape
        if not is_on_host(frame.image):
            whole = frame.image[0, :, :height, :width]
            places = to_device(windows, whole, torch.int64)
            around = to_device(colors, whole)
            pixels = whole.round().clamp(0, 255)
            return self(device_sampling.cut_windows(pixels, places, around, size))

        # The part of the frame that the windows show together.
        rows = _covered([(y, side) for _, y, side in windows], height)
        columns = _covered([(x, side) for x, _, side in windows], width)
        image = _pixels(frame, rows, columns)

        # (S, S, 3) of each window, in this part
        crops = []
        for (x, y, side), color in zip(windows, colors, strict=True):
            left = x - columns.start
            top = y - rows.start
            crop = cut_window(image, (left, top, side), color, size)
            crops.append(crop)

        # (K, S, S, 3) -> (K, 3, S, S)
        batch = torch.from_numpy(np.stack(crops))
        batch = batch.permute(0, 3, 1, 2).float()
        return self(batch)

    @staticmethod
    def mask_patches(levels: Levels, index: Tensor) -> Levels:
        """Cut out what the mask of each cell is refined from.

        Args:
            levels: stem, stage 1 and stage 2, from ``forward`` or ``encode_crops``.
            index: (P, 3) int64 rows (window, row, column).

        Returns:
            (P, 64, 61, 61), (P, 256, 31, 31), (P, 512, 15, 15).
        """
        # At the border of a whole search window masks reach outside it.
        stage2 = levels[2]
        border = BORDER_CELLS if stage2.shape[3] >= WHOLE_SEARCH_CELLS else 0
        if not is_on_host(stage2):
            first_cells = index[:, 1:] - border
            return tuple(
                device_sampling.cut_cells(level, index[:, 0], first_cells * factor, size)
                for level, (size, factor) in zip(levels, PATCHES, strict=True)
            )
        windows = index[:, 0].tolist()
        cells = (index[:, 1:] - border).tolist()

        patches = []
        for level, (size, factor) in zip(levels, PATCHES, strict=True):
            # the first row and column of each patch, in cells of this level
            corners = []
            for row, column in cells:
                corners.append((row * factor, column * factor))
            patch = cut_cells(level, windows, corners, size)
            patches.append(patch)
        return tuple(patches)

    @staticmethod
    def border_color(frame: Frame) -> Color:
        """Return the mean color of a frame, truncated.

        The surroundings of an object that starts in this frame are filled with it.
        """
        # (3, H, W): all of the frame, without the padding of the batch
        height, width = frame.meta.network_shape
        image = frame.image[0, :, :height, :width]
        pixels = image.round().clamp(0, 255)

        # (3,): the mean in whole numbers
        total = pixels.long().sum(dim=(1, 2))
        mean = total // (height * width)
        blue, green, red = mean.tolist()
        return blue, green, red


def cut_cells(
    features: Tensor, index: Sequence[int], corners: Sequence[tuple[int, int]], size: int
) -> Tensor:
    """Cut squares of cells out of feature maps; what lies outside is 0.

    Args:
        features: (B, C, H, W).
        index: of each of the P squares its map.
        corners: of each its first row and first column, which may be negative.
        size: cells in a row of a square.

    Returns:
        (P, C, size, size).
    """
    _, channels, height, width = features.shape
    if len(corners) == 0:
        return features.new_zeros(0, channels, size, size)

    squares = []
    for image, (row, column) in zip(index, corners, strict=True):
        # (1, C, h, w): what of the square lies on the map
        x0, y0, x1, y1 = visible_part(column, row, size, height, width)
        part = features[image, None, :, y0:y1, x0:x1]

        # (1, C, size, size): zeros to the left, right, top and bottom
        left = x0 - column
        right = column + size - x1
        top = y0 - row
        bottom = row + size - y1
        square = F.pad(part, (left, right, top, bottom))
        squares.append(square)
    return torch.cat(squares)


def _covered(spans: Sequence[tuple[int, int]], length: int) -> slice:
    """The part of 0 to ``length`` that spans (begin, length) touch together."""
    # from the first to the last of all spans
    first = min(begin for begin, _ in spans)
    last = max(begin + size for begin, size in spans)

    # what of that lies in 0 to ``length``, which may be nothing
    start = max(first, 0)
    start = min(start, length)
    end = min(last, length)
    end = max(end, start)
    return slice(start, end)


def _pixels(frame: Frame, rows: slice, columns: slice) -> NDArray[np.uint8]:
    """(h, w, 3) of rows and columns of the frame's valid part."""
    # (3, h, w) -> (h, w, 3)
    image = frame.image[0, :, rows, columns]
    image = image.permute(1, 2, 0)

    # whole values
    pixels = image.round().clamp(0, 255)
    pixels = pixels.to(torch.uint8)
    return np.ascontiguousarray(pixels.numpy())


@MODELS.register_module()
class SiameseResNet(ResNet):
    """The ResNet-50 of SiamMask: three stages of stride 8 in all.

    The stem and the convolutions of stride 2 have no padding, and the shortcuts of stages 2 and 3
    are 3x3. So cell m of stages 2 and 3 sees pixel 8 m + 7, of stage 1 pixel 4 m + 3, of the stem
    pixel 2 m + 3. All else is mmdet's ``ResNet``. It takes BGR images of 0 to 255.

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

        # Stage 2 begins with stride 2, without padding.
        strided = self.layer2[0]
        strided.conv2.padding = (0, 0)
        strided.downsample[0] = _shortcut_3x3(strided.downsample[0], stride=2, padding=0)

        # Stage 3 is dilated, but not its first block.
        first = self.layer3[0]
        first.conv2.padding = (1, 1)
        first.conv2.dilation = (1, 1)
        first.downsample[0] = _shortcut_3x3(first.downsample[0], stride=1, padding=1)
        self._freeze_stages()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute stem and stages; 255 pixels give 125, 63, 31, 31 cells; 127 give 61, 31, 15, 15.

        Args:
            x: (K, 3, S, S).

        Returns:
            Stem (K, 64, S / 2, S / 2), stage 1 (K, 256, S / 4, S / 4), stages 2 and 3 (K, 512 and
            1024, S / 8, S / 8), about.
        """
        stem = self.conv1(x)
        stem = self.norm1(stem)
        stem = self.relu(stem)
        stage1 = self.layer1(self.maxpool(stem))
        stage2 = self.layer2(stage1)
        stage3 = self.layer3(stage2)
        return stem, stage1, stage2, stage3


def _shortcut_3x3(shortcut: nn.Conv2d, stride: int, padding: int) -> nn.Conv2d:
    """A 3x3 shortcut instead of a 1x1 one."""
    return nn.Conv2d(
        shortcut.in_channels, shortcut.out_channels, 3, stride=stride, padding=padding, bias=False
    )
