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
        channels_first = model.to(memory_format=torch.contiguous_format)
        self.tracker = channels_first.eval().tracker
        self.objects: list[_Object] = []
        self.color = (0, 0, 0)

    @torch.no_grad()
    def start(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> None:
        """Begin with objects.

        Args:
            image: (H, W, 3).
            boxes: of the objects, xyxy.
        """
        # Windows that reach outside the frame are filled with its mean color.
        blue, green, red = image.mean(axis=(0, 1)).astype(int).tolist()
        self.color = (blue, green, red)

        self.objects = []
        features = self.tracker.features
        for x1, y1, x2, y2 in boxes:
            center = ((x1 + x2) / 2, (y1 + y2) / 2)
            size = (x2 - x1, y2 - y1)
            window = window_around(center, context_side(*size))
            crop = self._crop(image, window, TEMPLATE_SIZE)
            *_, top = features.backbone(crop)
            template = features.adjust(top)
            self.objects.append(_Object(template, center, size))

    @torch.no_grad()
    def step(self, image: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
        """The masks (H, W) of all objects in the next frame (H, W, 3)."""
        return [self._follow(image, item) for item in self.objects]

    def _crop(self, image: NDArray[np.uint8], window: tuple[int, int, int], size: int) -> Tensor:
        """Cut a window and resize it: (1, 3, size, size)."""
        crop = cut_window(image, window, self.color, size)
        channels_first = crop.transpose(2, 0, 1).astype(np.float32)
        tensor = torch.from_numpy(np.ascontiguousarray(channels_first))
        return tensor[None]

    def _follow(self, image: NDArray[np.uint8], item: _Object) -> NDArray[np.bool_]:
        """Find the mask (H, W) of one object, which moves."""
        net = self.tracker

        # The search window around the last place, and its features.
        side = context_side(*item.size)
        scale = TEMPLATE_SIZE / side  # window pixels per frame pixel
        window = window_around(item.center, search_side(side, net.search_size))
        crop = self._crop(image, window, net.search_size)
        *levels, top = net.features.backbone(crop)
        search = net.features.adjust(top)

        # The three branches: correlation of the template with the search window.
        kernels = net.neck.encode_template(item.template)
        score_map = net.neck.correlate(kernels, search, 'score')
        box_map = net.neck.correlate(kernels, search, 'box')
        mask_map = net.neck.correlate(kernels, search, 'mask')
        score_logits, box_deltas = net.head(score_map, box_map)
        scores, deltas = net.head.flatten(score_logits, box_deltas)

        # Choose the best anchor: its score, less for a change of size or shape, with a window.
        anchors = torch.from_numpy(anchor_grid(net.cells))
        boxes = decode_boxes(deltas.double(), anchors)
        last_width, last_height = item.size
        sizes = boxes.new_tensor([[last_width * scale, last_height * scale]])
        penalty = change_penalty(boxes, sizes, net.penalty)
        influence = net.window_influence
        nearness = torch.from_numpy(cosine_window(net.cells))
        rank = penalty * scores * (1 - influence) + nearness * influence
        best = int(rank.argmax())

        # The mask at the best anchor's cell, pasted into the frame.
        cell = divmod(best % net.cells**2, net.cells)
        mask = self._mask(mask_map, levels, *cell).sigmoid().numpy()
        area = mask_area(item.center, window[2], cell, net.search_size)
        height, width = image.shape[:2]
        probabilities = paste_mask(mask, area, height, width)
        found: NDArray[np.bool_] = probabilities > net.mask_threshold
        # The rotated box, which is part of what a frame costs.
        mask_polygon(found, 100.0)

        self._move(item, boxes[0, best], float(penalty[0, best] * scores[0, best]), scale, image)
        return found

    def _move(
        self, item: _Object, box: Tensor, score: float, scale: float, image: NDArray[np.uint8]
    ) -> None:
        """Move an object to the chosen box and adapt its size, the faster the higher the score.

        Args:
            item: the object, which changes.
            box: (4,) center and size in window pixels from the window's middle.
            score: of the box, with its penalty.
            scale: window pixels per frame pixel.
            image: (H, W, 3), the frame that the object stays in.
        """
        height, width = image.shape[:2]
        rate = score * self.tracker.size_rate
        dx, dy, box_width, box_height = box.tolist()

        # From the window to the frame, where the center stays.
        x = item.center[0] + dx / scale
        y = item.center[1] + dy / scale
        item.center = (min(max(x, 0.0), width), min(max(y, 0.0), height))

        # The new size is mixed with the old one.
        old_width, old_height = item.size
        new_width = old_width * (1 - rate) + box_width / scale * rate
        new_height = old_height * (1 - rate) + box_height / scale * rate
        item.size = (
            max(min(new_width, width), _SMALLEST),
            max(min(new_height, height), _SMALLEST),
        )

    def _mask(self, mask_map: Tensor, levels: Sequence[Tensor], row: int, column: int) -> Tensor:
        """Return the logits (S, S) at one cell.

        Without refinement the head is applied to all cells; with it the levels are padded as a
        whole.
        """
        head = self.tracker.head
        logits: Tensor
        if head.refine is None:
            # (1, S * S, n, n): the head at all cells
            side = round(head.mask[3].out_channels ** 0.5)
            everywhere = head.mask(mask_map)
            logits = everywhere[0, :, row, column].view(side, side)
        else:
            # Of each level the patch that lies under the mask.
            patches = []
            for level, (size, cells) in zip(levels, _LEVELS, strict=True):
                padded = F.pad(level, [4 * cells] * 4)
                top = row * cells
                left = column * cells
                patches.append(padded[:, :, top : top + size, left : left + size])
            logits = head.refine(mask_map[:, :, row, column], patches)[0]
        return logits
