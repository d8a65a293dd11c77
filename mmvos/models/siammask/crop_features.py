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

import torch
from mmdet.models.backbones import ResNet
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.ops import device_sampling
from mmvos.ops.arrays import is_on_host, to_device
from mmvos.ops.siamese_geometry import (
    BORDER_CELLS,
    WHOLE_SEARCH_CELLS,
    Color,
    Window,
    cut_windows,
    mean_color,
    visible_span,
)
from mmvos.registry import MODELS
from mmvos.structures import Frame

Levels = tuple[Tensor, ...]
# Of the stem, stage 1 and stage 2: the cells in a row of the patch from which a mask is refined,
# and how many of them make up one cell of stage 2.
PATCHES = ((61, 4), (31, 2), (15, 1))
# On a CPU the features of more windows leave the cache, and the allocator asks the system for their
# memory in each frame: with 16 windows of a ResNet-50 page faults take half a second.
WINDOWS_AT_ONCE = 4


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

    @staticmethod
    def windows_at_once(frame: Frame) -> int | None:
        """So many windows at most should be one batch: on a CPU few, on a device all (None)."""
        return WINDOWS_AT_ONCE if is_on_host(frame.image) else None

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
        image = frame.image[0, :, :height, :width]
        if not is_on_host(image):
            places = to_device(windows, image, torch.int64)
            around = to_device(colors, image)
            pixels = image.round().clamp(0, 255)
            return self(device_sampling.cut_windows(pixels, places, around, size))

        # (K, S, S, 3): cut by the host
        crops = cut_windows(image, windows, colors, size)

        # (K, S, S, 3) -> (K, 3, S, S)
        batch = torch.from_numpy(crops)
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
        if not is_on_host(levels[2]):
            return CropFeatures.patches_at_once(levels, index)
        windows = index[:, 0].tolist()
        cells = (index[:, 1:] - _border_cells(levels)).tolist()

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
    def patches_at_once(levels: Levels, index: Tensor) -> Levels:
        """Cut out all patches without asking where they are; see ``mask_patches``."""
        first_cells = index[:, 1:] - _border_cells(levels)
        patches = []
        for level, (size, factor) in zip(levels, PATCHES, strict=True):
            corners = first_cells * factor
            patches.append(device_sampling.cut_cells(level, index[:, 0], corners, size))
        return tuple(patches)

    @staticmethod
    def border_color(frame: Frame) -> Color:
        """Return the mean color of a frame, truncated.

        The surroundings of an object that starts in this frame are filled with it.
        """
        height, width = frame.meta.network_shape
        return mean_color(frame.image[0, :, :height, :width])


def _border_cells(levels: Levels) -> int:
    """How many cells masks at the border of windows reach outside: of whole search windows."""
    return BORDER_CELLS if levels[2].shape[3] >= WHOLE_SEARCH_CELLS else 0


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
        rows = visible_span([(row, size)], height)
        columns = visible_span([(column, size)], width)
        part = features[image, None, :, rows, columns]

        # (1, C, size, size): zeros to the left, right, top and bottom
        left = columns.start - column
        right = column + size - columns.stop
        top = rows.start - row
        bottom = row + size - rows.stop
        square = F.pad(part, (left, right, top, bottom))
        squares.append(square)
    return torch.cat(squares)


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
