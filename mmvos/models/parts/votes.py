"""What parts of an object say: where each has gone, whether it may be believed, and what they make
of the next frame together.

Cheng et al., Fast and Accurate Online Video Object Segmentation via Tracking Parts (FAVOS), CVPR
2018, sections 3.1 and 3.3. P parts, n x n cells of a search window, H x W the frame; boxes are rows
x1, y1, x2, y2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# a part strays if it differs from so many by more than so many median deviations
NEIGHBOURS, DEVIATIONS = 8, 3.0


def find_peaks(scores: Tensor, window_influence: float) -> tuple[Tensor, Tensor]:
    """The best place in each map.

    Args:
        scores: (P, n, n) probabilities, n odd.
        window_influence: share of the nearness to the middle (a cosine window that is 1 there) in
            the choice, against the score in proportion to the map's highest.

    Returns:
        (P, 2) x and y from the middle cell, in cells and fractions of cells (the vertex of a
        parabola through the cell and its neighbours), and (P,) the score at the cell.
    """
    count, cells, _ = scores.shape
    line = torch.hann_window(cells, periodic=False, dtype=scores.dtype, device=scores.device)
    # low scores everywhere say where it is too
    relative = scores / scores.amax(dim=(1, 2), keepdim=True).clamp(min=1e-9)
    ranks = relative * (1 - window_influence) + torch.outer(line, line) * window_influence
    best = ranks.flatten(1).argmax(dim=1)
    row, column = best // cells, best % cells
    parts = torch.arange(count, device=scores.device)
    x = column - cells // 2 + _vertex(ranks[parts, row], column)
    y = row - cells // 2 + _vertex(ranks[parts, :, column], row)
    return torch.stack([x, y], dim=1), scores[parts, row, column]


def _vertex(lines: Tensor, index: Tensor) -> Tensor:
    """How far the top of the parabola through a maximum and its two neighbours lies from it: (P,)
    in [-.5, .5]; 0 at an end.

    Args:
        lines: (P, n).
        index: (P,) of each line's maximum.
    """
    last = lines.shape[1] - 1
    left, middle, right = (
        lines.gather(1, (index + step).clamp(0, last)[:, None])[:, 0] for step in (-1, 0, 1)
    )
    bend = 2 * middle - left - right
    inner = (index > 0) & (index < last) & (bend > 0)
    return torch.where(inner, (right - left) / (2 * bend).clamp(min=1e-12), 0.0)


def straying(places: Tensor, moves: Tensor, objects: Tensor, tolerance: Tensor) -> Tensor:
    """Which parts move unlike the parts of the same object around them.

    Args:
        places: (P, 2) where the parts were when they were sampled, which says who is whose
            neighbour.
        moves: (P, 2) how far each has moved in this frame.
        objects: (P,) of each part its object's number.
        tolerance: (P,) pixels by which a part may always differ.

    Returns:
        (P,) bool; nobody strays who has fewer than three neighbours.
    """
    if not len(places):
        return torch.zeros(0, dtype=torch.bool, device=places.device)
    distance = torch.cdist(places, places)
    distance = distance.masked_fill(objects[:, None] != objects, torch.inf).fill_diagonal_(
        torch.inf
    )
    distance, nearest = distance.topk(min(NEIGHBOURS, len(places)), largest=False)
    around = moves[nearest].masked_fill(distance.isinf()[..., None], torch.nan)  # (P, N, 2)
    median = around.nanmedian(dim=1).values
    spread = (around - median[:, None]).norm(dim=2).nanmedian(dim=1).values
    limit = torch.maximum(DEVIATIONS * spread, tolerance)
    crowd = distance.isfinite().sum(dim=1) >= 3
    strays: Tensor = crowd & ((moves - median).norm(dim=1) > limit)
    return strays


def collect_votes(
    source: Tensor, boxes: Sequence[Sequence[int]], shifts: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """Moves what a mask shows in each part along with the part, and takes the mean where parts lie
    over each other.

    Args:
        source: (H, W) in [0, 1], the mask of the frame that the parts are from.
        boxes: P of them, in that frame.
        shifts: P times x, y: by how many pixels the part has moved since.

    Returns:
        (H, W) the mean of the parts that cover a pixel, 0 where there is none, and (H, W) how many
        there are.
    """
    height, width = source.shape
    votes, counts = torch.zeros_like(source), torch.zeros_like(source)
    for (x1, y1, x2, y2), (dx, dy) in zip(boxes, shifts, strict=True):
        # what is in the frame before and after
        left, right = max(x1, 0, -dx), min(x2, width, width - dx)
        top, bottom = max(y1, 0, -dy), min(y2, height, height - dy)
        if left < right and top < bottom:
            area = slice(top + dy, bottom + dy), slice(left + dx, right + dx)
            votes[area] += source[top:bottom, left:right]
            counts[area] += 1
    return votes / counts.clamp(min=1), counts


def attended_guide(guide: Tensor, votes: Tensor, counts: Tensor, attention: float) -> Tensor:
    """The guide of the frame before, turned towards what the parts say; where no part says anything
    it stays.

    Args:
        guide: (H, W) in [-1, 1].
        votes, counts: from ``collect_votes``.
        attention: 0 leaves the guide as it is; with 1 the parts alone say what is in them.
    """
    said = torch.where(counts > 0, 2 * votes - 1, guide)
    return guide + attention * (said - guide)
