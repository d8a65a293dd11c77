"""PyramidFeatures: a siamese tracker's features, sampled from a feature pyramid of the whole frame.

One pass of mmdet's ResNet and FPN for all objects (Lin et al., Feature Pyramid Networks, CVPR
2017); windows are cut out by RoIAlign (He et al., Mask R-CNN, ICCV 2017) where ``CropFeatures`` has
its cells: cell m of a window of S x S pixels sees pixel 8 m + 7, those of finer features pixels 4 m
+ 3 and 2 m + 3. K windows, n x n cells, P cells whose mask is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.crop import BORDER_CELLS, Window
from mmvos.ops.roi_align import roi_align
from mmvos.registry import MODELS
from mmvos.structures import Frame

CELL, RIM = 8, 7  # pixels of a cell; pixels of a window that are no cell's
PATCHES = ((61, 2), (31, 4), (15, 8))  # number and pixels of the cells of a mask's patch
EDGES = {2: 2.5, 4: 1.5, 8: 3.5}  # window pixels before the first cell, by the pixels of a cell
# cells from which on a search window is a whole one, at whose border patches reach outside
_WHOLE = 20


@dataclass(frozen=True)
class Views:
    """Windows of K images, and the pyramids of those.

    Attributes:
        maps: levels (B, C, h, w), fine to coarse.
        index: (K,) of each window its image.
        corners: (K, 2) left and top in image pixels.
        scales: (K,) image pixels per window pixel.
        cells: number of cells of 8 pixels in a row of a window.
    """

    maps: tuple[Tensor, ...]
    index: Tensor
    corners: Tensor
    scales: Tensor
    cells: int


@MODELS.register_module()
class PyramidFeatures(BaseModule):
    """Backbone and neck on whole frames, windows by RoIAlign, and the adjusting layer on windows.

    Args:
        backbone: config of a ResNet.
        neck: config of an FPN over it.
        adjust: config of a ``AdjustLayer``.
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

    def forward(self, windows: Tensor) -> tuple[Tensor, Views]:
        """Features of windows that are images of their own, (K, 3, S, S) normalised; for training.
        See ``look``.
        """
        count, size = len(windows), windows.shape[3]
        low, high = self.train_scales
        pixels = (
            round(size * low * (high / low) ** float(torch.rand(()))) if self.training else size
        )
        if pixels != size:
            windows = F.interpolate(
                windows, size=(pixels, pixels), mode='bilinear', align_corners=False, antialias=True
            )
        views = Views(
            self._maps(windows),
            torch.arange(count, device=windows.device),
            windows.new_zeros(count, 2),
            windows.new_full((count,), pixels / size),
            (size - RIM) // CELL,
        )
        return self._top(views), views

    def look(
        self,
        frame: Frame,
        windows: Sequence[Window],
        colors: Sequence[tuple[int, int, int]],
        size: int,
    ) -> tuple[Tensor, Views]:
        """Features of windows of a frame.

        Args:
            frame: normalised as the backbone needs it.
            windows: K of them.
            colors: not needed, features outside the frame are 0.
            size: S, window pixels.

        Returns:
            (K, C, n, n) adjusted, and what masks are refined from. S = 127, 143, 255 give n = 7, 9,
            31.
        """
        assert len(colors) == len(windows)
        maps = frame.features('siamese', self._maps)
        places = torch.tensor(windows, dtype=torch.float32, device=frame.image.device)
        index = torch.zeros(len(windows), dtype=torch.long, device=places.device)
        views = Views(maps, index, places[:, :2], places[:, 2] / size, (size - RIM) // CELL)
        return self._top(views), views

    def patches(self, views: Views, index: Tensor) -> tuple[Tensor, ...]:
        """What the mask of each cell is refined from.

        Args:
            views: from ``forward`` or ``look``.
            index: (P, 3) int64 rows (window, row, column).

        Returns:
            (P, C, 61, 61), (P, C, 31, 31), (P, C, 15, 15).
        """
        index = index.to(views.index.device)
        margin = BORDER_CELLS if views.cells >= _WHOLE else 0
        first = (index[:, 1:].flip(1) - margin) * CELL  # (P, 2): x, y in window pixels
        return tuple(
            self._sample(views, index[:, 0], first + EDGES[pixels], count, pixels, samples=1)
            for count, pixels in PATCHES
        )

    @staticmethod
    def color(frame: Frame) -> tuple[int, int, int]:
        """Black: windows are not filled with a colour here."""
        return 0, 0, 0

    def _maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """The pyramid of (B, 3, H, W) images."""
        levels = self.neck(self.backbone(images.contiguous(memory_format=torch.channels_last)))
        return tuple(level.float() for level in levels[: len(self.strides)])

    def _top(self, views: Views) -> Tensor:
        windows = torch.arange(len(views.index), device=views.index.device)
        corners = views.corners.new_full((len(windows), 2), EDGES[CELL])
        adjusted: Tensor = self.adjust(
            self._sample(views, windows, corners, views.cells, CELL, samples=2)
        )
        return adjusted

    def _sample(
        self, views: Views, windows: Tensor, corners: Tensor, count: int, pixels: int, samples: int
    ) -> Tensor:
        """Squares of count x count cells, each from the level whose cells are about as large.

        Args:
            views: the windows.
            windows: (P,) of each square its window.
            corners: (P, 2) left and top in window pixels.
            count, pixels: how many cells in a row, and the window pixels of each.
            samples: points in a row of each cell: one is enough for masks, places that are compared
                need two.
        """
        scales = views.scales[windows]
        start = views.corners[windows] + corners * scales[:, None]
        rois = torch.cat(
            [
                views.index[windows][:, None].to(start),
                start,
                start + (count * pixels * scales)[:, None],
            ],
            dim=1,
        )
        steps = (
            (scales * (pixels / self.strides[0]))
            .log2()
            .round()
            .clamp(0, len(views.maps) - 1)
            .long()
        )
        if len(steps) and (steps == steps[0]).all():
            return roi_align(views.maps[steps[0]], rois, count, 1 / self.strides[steps[0]], samples)
        found = start.new_zeros(len(rois), views.maps[0].shape[1], count, count)
        for level, (features, stride) in enumerate(zip(views.maps, self.strides)):
            place = (steps == level).nonzero()[:, 0]
            if len(place):
                found = found.index_copy(
                    0, place, roi_align(features, rois[place], count, 1 / stride, samples)
                )
        return found
