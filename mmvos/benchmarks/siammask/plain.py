"""The baseline in the benchmark ``tracking``: SiamMask step by step as it is described, with the
same modules and weights.

One object at a time, channels first, batch norms as layers of their own, float32; the template's
branches and the mask branch at all cells are computed in every frame. What it finds is what
``SiameseTracker`` finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mmvos.models import PromptedSegmenter
from mmvos.models.siammask.anchors import anchor_grid, change_penalty, cosine_window, decode_boxes
from mmvos.ops.polygons import mask_polygon
from mmvos.ops.siamese_geometry import (
    TEMPLATE_SIZE,
    context_side,
    cut_window,
    mask_area,
    paste_mask,
    search_side,
    window_around,
)

# cells of a mask's patch in stem, stage 1 and stage 2, and how many per cell of stage 2
_LEVELS = ((61, 4), (31, 2), (15, 1))
_SMALLEST = 10.0
Box = tuple[float, float, float, float]


@dataclass
class _Object:
    """One followed object: its template's features, its middle and its size in frame pixels."""

    template: Tensor
    center: tuple[float, float]
    size: tuple[float, float]


class PlainSiamese:
    """Follows objects, frame by frame.

    Args:
        model: a SiamMask on windows (``CropFeatures``), not optimized; it is brought into
            channels-first order for good.
    """

    def __init__(self, model: PromptedSegmenter) -> None:
        self.tracker = model.to(memory_format=torch.contiguous_format).eval().tracker
        self.objects: list[_Object] = []
        self.color = (0, 0, 0)

    @torch.no_grad()
    def start(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> None:
        """Begins with objects.

        Args:
            image: (H, W, 3).
            boxes: of the objects, xyxy.
        """
        blue, green, red = image.mean(axis=(0, 1)).astype(int).tolist()
        self.color, self.objects = (blue, green, red), []
        for x1, y1, x2, y2 in boxes:
            center, size = ((x1 + x2) / 2, (y1 + y2) / 2), (x2 - x1, y2 - y1)
            crop = self._crop(image, window_around(center, context_side(*size)), TEMPLATE_SIZE)
            features = self.tracker.features
            self.objects.append(_Object(features.adjust(features.backbone(crop)[3]), center, size))

    @torch.no_grad()
    def step(self, image: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
        """The masks (H, W) of all objects in the next frame (H, W, 3)."""
        return [self._follow(image, item) for item in self.objects]

    def _crop(self, image: NDArray[np.uint8], window: tuple[int, int, int], size: int) -> Tensor:
        crop = cut_window(image, window, self.color, size)
        return torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)).astype(np.float32))[
            None
        ]

    def _follow(self, image: NDArray[np.uint8], item: _Object) -> NDArray[np.bool_]:
        """The mask of one object, which moves."""
        net = self.tracker
        side = context_side(*item.size)
        scale = TEMPLATE_SIZE / side
        window = window_around(item.center, search_side(side, net.search_size))
        *levels, top = net.features.backbone(self._crop(image, window, net.search_size))
        search = net.features.adjust(top)
        kernels = net.neck.encode_template(item.template)
        scores, deltas = net.head.flatten(
            *net.head(*(net.neck.correlate(kernels, search, name) for name in ('score', 'box')))
        )
        mask_map = net.neck.correlate(kernels, search, 'mask')

        boxes = decode_boxes(deltas.double(), anchor_grid(net.cells))
        sizes = boxes.new_tensor([[length * scale for length in item.size]])
        penalty = change_penalty(boxes, sizes, net.penalty)
        rank = (
            penalty * scores * (1 - net.window_influence)
            + cosine_window(net.cells) * net.window_influence
        )
        best = int(rank.argmax())
        cell = divmod(best % net.cells**2, net.cells)
        mask = self._mask(mask_map, levels, *cell).sigmoid().numpy()
        height, width = image.shape[:2]
        found: NDArray[np.bool_] = (
            paste_mask(
                mask, mask_area(item.center, window[2], cell, net.search_size), height, width
            )
            > net.mask_threshold
        )
        mask_polygon(found, 100.0)

        rate = float(penalty[0, best] * scores[0, best]) * net.size_rate
        dx, dy, w, h = boxes[0, best].tolist()
        x, y = item.center[0] + dx / scale, item.center[1] + dy / scale
        w, h = (old * (1 - rate) + new / scale * rate for old, new in zip(item.size, (w, h)))
        item.center = min(max(x, 0.0), width), min(max(y, 0.0), height)
        item.size = max(min(w, width), _SMALLEST), max(min(h, height), _SMALLEST)
        return found

    def _mask(self, mask_map: Tensor, levels: Sequence[Tensor], row: int, column: int) -> Tensor:
        """Logits (S, S) at one cell, the levels being padded as a whole or the head being applied
        to all cells.
        """
        head = self.tracker.head
        logits: Tensor
        if head.refine is None:
            side = round(head.mask[3].out_channels ** 0.5)
            logits = head.mask(mask_map)[0, :, row, column].view(side, side)
        else:
            patches = [
                F.pad(level, [4 * cells] * 4)[
                    :, :, row * cells : row * cells + size, column * cells : column * cells + size
                ]
                for level, (size, cells) in zip(levels, _LEVELS, strict=True)
            ]
            logits = head.refine(mask_map[:, :, row, column], patches)[0]
        return logits
