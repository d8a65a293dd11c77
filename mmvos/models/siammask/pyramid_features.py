"""Features of windows that are sampled from a feature pyramid of the whole frame.

One pass of mmdet's ResNet and FPN (Lin et al., Feature Pyramid Networks, CVPR 2017) serves all
objects; their windows are cut out of it by RoIAlign (He et al., Mask R-CNN, ICCV 2017). Cells lie
where ``CropFeatures`` has them: cell m of a window of S x S pixels sees pixel 8 m + 7, the cells of
finer features pixels 4 m + 3 and 2 m + 3.

Letters for shapes: K windows, C channels, m x m cells of 8 pixels, P cells whose mask is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.arrays import is_on_host, to_device
from mmvos.ops.crop import roi_align, roi_align_levels
from mmvos.ops.siamese_geometry import (
    BORDER_CELLS,
    FIRST_CELL,
    STRIDE,
    WHOLE_SEARCH_CELLS,
    Color,
    Window,
)
from mmvos.registry import MODELS
from mmvos.structures import Frame

# Window pixels before the first cell of 8 pixels.
EDGE = FIRST_CELL - STRIDE / 2
# Of the patches from which a mask is refined, fine to coarse: the cells in a row, the window pixels
# of a cell, and the window pixels before the patch's first cell, whose middle is at pixel 3 (of the
# stem and stage 1) or 7 (of stage 2).
PATCHES = ((61, 2, 2.5), (31, 4, 1.5), (15, STRIDE, EDGE))
# Sampling points in a row of each cell: one is enough for masks, places that are compared need two.
PATCH_SAMPLES = 1
CELL_SAMPLES = 2


@dataclass(frozen=True)
class FeatureWindows:
    """K windows, and the feature pyramids of the images in which they lie.

    Attributes:
        maps: levels (B, C, h, w), fine to coarse.
        index: (K,) of each window its image.
        corners: (K, 2) left and top in image pixels.
        scales: (K,) image pixels per window pixel.
        cells: m.
    """

    maps: tuple[Tensor, ...]
    index: Tensor
    corners: Tensor
    scales: Tensor
    cells: int


@MODELS.register_module()
class PyramidFeatures(BaseModule):
    """Backbone and neck on whole frames, windows by RoIAlign, and the adjust layer on windows.

    Args:
        backbone: config of a ResNet.
        neck: config of an FPN over it.
        adjust: config of an ``AdjustLayer``.
        strides: of the neck's levels that are used.
        train_scales: pixels of the network per pixel of a training window, at the ends; each batch
            draws one between them, as windows in whole frames have all sizes.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        neck: dict[str, Any],
        adjust: dict[str, Any],
        strides: Sequence[int] = (4, 8, 16, 32),
        train_scales: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck)
        self.adjust = MODELS.build(adjust)
        self.strides = tuple(strides)
        self.train_scales = train_scales

    def forward(self, windows: Tensor) -> tuple[Tensor, FeatureWindows]:
        """Compute the features of windows that are images of their own, for training.

        Args:
            windows: (K, 3, S, S) normalized.

        Returns:
            See ``encode_crops``.
        """
        count = len(windows)
        size = windows.shape[3]

        # Show the network the windows in another size, as they lie in frames in all sizes.
        pixels = self._draw_size(size) if self.training else size
        if pixels != size:
            windows = F.interpolate(
                windows, size=(pixels, pixels), mode='bilinear', align_corners=False, antialias=True
            )

        feature_windows = FeatureWindows(
            maps=self._pyramid(windows),
            index=torch.arange(count, device=windows.device),
            corners=windows.new_zeros(count, 2),
            scales=windows.new_full((count,), pixels / size),
            cells=_cells_in(size),
        )
        return self._adjusted(feature_windows), feature_windows

    def encode_crops(
        self, frame: Frame, windows: Sequence[Window], colors: Sequence[Color], size: int
    ) -> tuple[Tensor, FeatureWindows]:
        """Compute the features of windows of a frame.

        Args:
            frame: normalized as the backbone needs it.
            windows: K of them.
            colors: not needed, features outside the frame are 0.
            size: S.

        Returns:
            (K, C, m, m) adjusted features, S = 127, 143, 255 give m = 7, 9, 31; and what masks are
            refined from.
        """
        assert len(colors) == len(windows)

        # (K, 3): left, top and side in frame pixels
        places = to_device(windows, frame.image)
        feature_windows = FeatureWindows(
            maps=frame.features(self, self._pyramid),
            index=torch.zeros(len(windows), dtype=torch.long, device=places.device),
            corners=places[:, :2],
            scales=places[:, 2] / size,
            cells=_cells_in(size),
        )
        return self._adjusted(feature_windows), feature_windows

    def mask_patches(self, windows: FeatureWindows, index: Tensor) -> tuple[Tensor, ...]:
        """Sample what the mask of each cell is refined from.

        Args:
            windows: from ``forward`` or ``encode_crops``.
            index: (P, 3) int64 rows (window, row, column).

        Returns:
            (P, C, 61, 61), (P, C, 31, 31), (P, C, 15, 15).
        """
        index = index.to(windows.index.device, non_blocking=True)

        # At the border of a whole search window masks reach outside it.
        border = BORDER_CELLS if windows.cells >= WHOLE_SEARCH_CELLS else 0

        # (P, 2): x and y of the patches' first cells in window pixels
        first = (index[:, 1:].flip(1) - border) * STRIDE

        patches = []
        for count, pixels, edge in PATCHES:
            corners = first + edge
            patch = self._sample(windows, index[:, 0], corners, count, pixels, PATCH_SAMPLES)
            patches.append(patch)
        return tuple(patches)

    @staticmethod
    def windows_at_once(frame: Frame) -> int | None:
        """So many windows at most should be one batch: all (None), as they share a pass."""
        return None

    @staticmethod
    def border_color(frame: Frame) -> Color:
        """Return black: windows are not filled with a color here."""
        return 0, 0, 0

    def _draw_size(self, size: int) -> int:
        """Pixels in which a training window of ``size`` pixels is shown, even in the logarithm."""
        low, high = self.train_scales
        share = float(torch.rand(()))

        # from ``low`` at 0 to ``high`` at 1
        factor = (high / low) ** share
        return round(size * low * factor)

    def _pyramid(self, images: Tensor) -> tuple[Tensor, ...]:
        """The used levels of (B, 3, H, W) images."""
        images = images.contiguous(memory_format=torch.channels_last)
        stages = self.backbone(images)
        levels = self.neck(stages)
        used = levels[: len(self.strides)]
        return tuple(level.float() for level in used)

    def _adjusted(self, windows: FeatureWindows) -> Tensor:
        """(K, C, m, m): the windows' cells of 8 pixels through the adjust layer."""
        # one square in each window, with all of its cells
        count = len(windows.index)
        every = torch.arange(count, device=windows.index.device)
        corners = windows.corners.new_full((count, 2), EDGE)
        cells = self._sample(
            windows,
            every,
            corners,
            count=windows.cells,
            pixels=STRIDE,
            samples=CELL_SAMPLES,
        )
        adjusted: Tensor = self.adjust(cells)
        return adjusted

    def _sample(
        self,
        windows: FeatureWindows,
        which: Tensor,
        corners: Tensor,
        count: int,
        pixels: int,
        samples: int,
    ) -> Tensor:
        """Sample squares of cells, each from the level whose cells are about as large.

        Args:
            windows: the windows.
            which: (P,) of each square its window.
            corners: (P, 2) left and top in window pixels.
            count, pixels: how many cells in a row, and the window pixels of each.
            samples: points in a row of each cell.

        Returns:
            (P, C, count, count).
        """
        # (P, 2): the squares' corners in image pixels
        scales = windows.scales[which]
        start = windows.corners[which] + corners * scales[:, None]
        sides = count * pixels * scales
        end = start + sides[:, None]

        # (P, 5): the squares as regions of images
        images = windows.index[which]
        images = images[:, None].to(start)
        rois = torch.cat([images, start, end], dim=1)

        # (P,): the level whose cells come nearest to the size of these
        ratio = scales * (pixels / self.strides[0])
        levels = ratio.log2().round()
        levels = levels.clamp(0, len(windows.maps) - 1)
        levels = levels.long()

        if not is_on_host(rois):
            return roi_align_levels(windows.maps, self.strides, rois, levels, count, samples)

        # Often it is the same for all.
        if len(levels) and (levels == levels[0]).all():
            level = int(levels[0])
            features = windows.maps[level]
            return roi_align(features, rois, count, 1 / self.strides[level], samples)

        channels = windows.maps[0].shape[1]
        sampled = start.new_zeros(len(rois), channels, count, count)
        for level, (features, stride) in enumerate(zip(windows.maps, self.strides)):
            here = (levels == level).nonzero()[:, 0]
            if len(here) == 0:
                continue
            squares = roi_align(features, rois[here], count, 1 / stride, samples)
            sampled = sampled.index_copy(0, here, squares)
        return sampled


def _cells_in(size: int) -> int:
    """Cells of 8 pixels in a row of a window of ``size`` pixels."""
    return (size - int(FIRST_CELL)) // STRIDE
