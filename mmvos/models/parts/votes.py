"""What the parts of an object say: where each has gone, whether it may be believed, and what they
make of the next frame together.

Cheng et al., Fast and Accurate Online Video Object Segmentation via Tracking Parts (FAVOS), CVPR
2018, sections 3.1 and 3.3.

Letters for shapes: P parts, n x n cells of a search window, H x W pixels of the frame. Boxes are
rows x1, y1, x2, y2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# A part is an outlier if its move differs from the median move of so many neighbors by more than so
# many times the neighbors' own median deviation; it needs so many neighbors to be judged.
NEIGHBORS, DEVIATIONS, MIN_NEIGHBORS = 8, 3.0, 3


def find_peaks(scores: Tensor, window_influence: float) -> tuple[Tensor, Tensor]:
    """Find the best place in each map.

    Args:
        scores: (P, n, n) probabilities, n odd.
        window_influence: share of the nearness to the middle (a cosine window that is 1 there) in
            the choice, against the score in proportion to the map's highest.

    Returns:
        (P, 2) x and y from the middle cell, in cells and fractions of cells, and (P,) the score at
        the cell.
    """
    # Scores in proportion to the map's highest: low ones everywhere say where it is, too.
    count, cells, _ = scores.shape
    highest = scores.amax(dim=(1, 2), keepdim=True)
    relative = scores / highest.clamp(min=1e-9)

    # Prefer cells near the middle.
    line = torch.hann_window(cells, periodic=False, dtype=scores.dtype, device=scores.device)
    window = torch.outer(line, line)
    ranks = relative * (1 - window_influence) + window * window_influence

    # (P,): the best cell, and the vertex of a parabola through it and its neighbors
    best = ranks.flatten(1).argmax(dim=1)
    row = best // cells
    column = best % cells
    parts = torch.arange(count, device=scores.device)
    x = column - cells // 2 + _parabola_vertex(ranks[parts, row], column)
    y = row - cells // 2 + _parabola_vertex(ranks[parts, :, column], row)
    return torch.stack([x, y], dim=1), scores[parts, row, column]


def _parabola_vertex(lines: Tensor, index: Tensor) -> Tensor:
    """How far the top of the parabola through a maximum and its two neighbors lies from it.

    Args:
        lines: (P, n).
        index: (P,) of each line's maximum.

    Returns:
        (P,) in [-.5, .5]; 0 where the maximum is at an end.
    """
    # (P, 3): the maximum between its neighbors
    last = lines.shape[1] - 1
    steps = torch.tensor([-1, 0, 1], device=index.device)
    around = (index[:, None] + steps).clamp(0, last)
    left, middle, right = lines.gather(1, around).unbind(dim=1)

    # (P,): the vertex of the parabola through these three
    curvature = 2 * middle - left - right
    slope = right - left
    vertex = slope / (2 * curvature).clamp(min=1e-12)

    is_inner = (index > 0) & (index < last)
    is_peak = is_inner & (curvature > 0)
    return torch.where(is_peak, vertex, 0.0)


def motion_outliers(places: Tensor, moves: Tensor, objects: Tensor, tolerance: Tensor) -> Tensor:
    """Find the parts that move unlike the parts of the same object around them.

    Args:
        places: (P, 2) where the parts were when they were sampled, which says who is whose
            neighbor.
        moves: (P, 2) how far each has moved in this frame.
        objects: (P,) of each part its object's number.
        tolerance: (P,) pixels by which a part may always differ.

    Returns:
        (P,) bool; False for parts with fewer than three neighbors.
    """
    if not len(places):
        return torch.zeros(0, dtype=torch.bool, device=places.device)
    # (P, N): the nearest parts of the same object
    distance = torch.cdist(places, places)
    distance = distance.masked_fill(objects[:, None] != objects, torch.inf)
    distance = distance.fill_diagonal_(torch.inf)
    distance, nearest = distance.topk(min(NEIGHBORS, len(places)), largest=False)
    is_neighbor = distance.isfinite()

    # (P, N, 2): how they move; their median move, and their median deviation from it
    neighbor_moves = moves[nearest].masked_fill(~is_neighbor[..., None], torch.nan)
    median = neighbor_moves.nanmedian(dim=1).values
    deviations = (neighbor_moves - median[:, None]).norm(dim=2)
    spread = deviations.nanmedian(dim=1).values

    # An outlier differs by more than three of these deviations and by more than the tolerance.
    limit = torch.maximum(DEVIATIONS * spread, tolerance)
    difference = (moves - median).norm(dim=1)
    differs = difference > limit
    enough = is_neighbor.sum(dim=1) >= MIN_NEIGHBORS
    return enough & differs


def warp_parts(
    source_mask: Tensor, boxes: Sequence[Sequence[int]], shifts: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """Move what a mask shows in each part along with the part.

    Args:
        source_mask: (H, W) in [0, 1], the mask of the frame that the parts are from.
        boxes: P of them, in that frame.
        shifts: P times x, y: by how many pixels the part has moved since.

    Returns:
        (H, W) the mean of the parts that cover a pixel, 0 where there is none, and (H, W) how many
        there are.
    """
    height, width = source_mask.shape
    votes = torch.zeros_like(source_mask)
    counts = torch.zeros_like(source_mask)
    for (x1, y1, x2, y2), (dx, dy) in zip(boxes, shifts, strict=True):
        # what of the part is in the frame before and after its move
        left = max(x1, 0, -dx)
        right = min(x2, width, width - dx)
        top = max(y1, 0, -dy)
        bottom = min(y2, height, height - dy)
        if left >= right or top >= bottom:
            continue
        # what the mask showed in it, where it is now
        rows = slice(top + dy, bottom + dy)
        columns = slice(left + dx, right + dx)
        votes[rows, columns] += source_mask[top:bottom, left:right]
        counts[rows, columns] += 1
    return votes / counts.clamp(min=1), counts


def blend_prior(mask_prior: Tensor, votes: Tensor, counts: Tensor, attention: float) -> Tensor:
    """Turn the mask prior of the frame before towards what the parts say.

    Where no part says anything it stays.

    Args:
        mask_prior: (H, W) in [-1, 1].
        votes, counts: from ``warp_parts``.
        attention: 0 leaves the prior as it is; with 1 the parts alone say what is in them.

    Returns:
        (H, W) in [-1, 1].
    """
    # from [0, 1] to [-1, 1]
    voted = 2 * votes - 1
    attended = torch.where(counts > 0, voted, mask_prior)
    return mask_prior + attention * (attended - mask_prior)
