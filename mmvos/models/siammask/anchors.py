"""Anchors of a siamese tracker, and how it chooses among them (Li et al., SiamRPN, CVPR 2018,
sections 3.2 and 4.3).

A search image has n x n cells of 8 pixels with A = 5 anchors each, N = A n n in all; the flat index
is anchor * n * n + row * n + column. Boxes are (centre x, centre y, width, height) in pixels of the
search image. K objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

STRIDE = 8
# width, height: ratios .33 .5 1 2 3 of an area of 64 cells
SIZES = ((104, 32), (88, 40), (64, 64), (40, 80), (32, 96))
COUNT = len(SIZES)
_LONGEST = 16.0  # the logarithm of a side is cut here, so that untrained weights give finite boxes
Choice = tuple[list[float], float, float]  # box, score and penalty of an anchor


@dataclass(frozen=True)
class Candidates:
    """What the anchors of K search windows say.

    Attributes:
        boxes: (K, N, 4) centre from the window's middle, and size, in pixels of the search window;
            float64.
        scores: (K, N) probabilities that it is the object.
        penalties: (K, N) in (0, 1], for changes of size and shape.
        best: (K, T) the anchors with the highest scores after penalties and distance from the
            middle, the highest first; T = 1 where there is no vote.
    """

    boxes: Tensor
    scores: Tensor
    penalties: Tensor
    best: Tensor

    def chosen(self) -> list[Choice]:
        """Of each window the best anchor."""
        windows = torch.arange(len(self.best), device=self.best.device)
        picked = (
            item[windows, self.best[:, 0]].tolist()
            for item in (self.boxes, self.scores, self.penalties)
        )
        return list(zip(*picked, strict=True))


def anchor_grid(cells: int, center: float = 0.0) -> Tensor:
    """All anchors of a search image.

    Args:
        cells: n.
        center: where the middle cell lies in x and in y; 0 gives boxes relative to the middle of
            the search image.

    Returns:
        (N, 4) float64.
    """
    position = (torch.arange(cells, dtype=torch.float64) - cells // 2) * STRIDE + center
    y, x = torch.meshgrid(position, position, indexing='ij')  # (n, n)
    places = torch.stack([x, y], dim=-1).reshape(1, -1, 2).expand(COUNT, -1, -1)
    sizes = torch.tensor(SIZES, dtype=torch.float64)[:, None].expand_as(places)
    return torch.cat([places, sizes], dim=-1).reshape(-1, 4)


def decode_boxes(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (..., N, 4) of the deltas (..., 4, N): centre offsets in anchor sizes, logarithms of
    the size ratios.
    """
    dx, dy, dw, dh = deltas.unbind(dim=-2)
    x, y, width, height = anchors.unbind(dim=-1)
    return torch.stack(
        [
            dx * width + x,
            dy * height + y,
            dw.clamp(max=_LONGEST).exp() * width,
            dh.clamp(max=_LONGEST).exp() * height,
        ],
        dim=-1,
    )


def change_penalty(boxes: Tensor, sizes: Tensor, strength: float) -> Tensor:
    """What a candidate loses because its size or shape differs from the object's.

    Args:
        boxes: (K, N, 4).
        sizes: (K, 2), width and height of the objects in pixels of the search image.
        strength: 0 for no penalty.

    Returns:
        (K, N) in (0, 1]; 1 where size and shape are the object's.
    """
    width, height = boxes[..., 2], boxes[..., 3]
    size_change = _change(_padded_side(width, height) / _padded_side(*sizes.unbind(dim=1))[:, None])
    shape_change = _change((sizes[:, 0] / sizes[:, 1])[:, None] / (width / height))
    return torch.exp(-(size_change * shape_change - 1) * strength)


def _padded_side(width: Tensor, height: Tensor) -> Tensor:
    padding = (width + height) / 2
    return ((width + padding) * (height + padding)).sqrt()


def _change(ratio: Tensor) -> Tensor:
    return torch.maximum(ratio, 1 / ratio)


def cosine_window(cells: int) -> Tensor:
    """(N,) float64: for all anchors of a cell the same weight, 1 in the middle of the search image
    and 0 at its edge.

    It is numpy's Hann window, the published code's: ``torch.hann_window`` is not symmetric in its
    last bits, which would break ties between the left and the right of the window's middle.
    """
    line = torch.from_numpy(np.hanning(cells))
    return torch.outer(line, line).flatten().repeat(COUNT)
