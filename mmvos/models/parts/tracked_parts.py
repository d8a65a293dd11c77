"""The parts of an object that are followed: where each has gone, whether it may be believed, and
what they make of the next frame together.

Cheng et al., Fast and Accurate Online Video Object Segmentation via Tracking Parts (FAVOS), CVPR
2018, sections 3.1 and 3.3.

Letters for shapes: P parts, n x n cells of a search window, H x W pixels of the frame. Boxes are
rows x1, y1, x2, y2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmvos.ops.arrays import to_device
from mmvos.ops.siamese_geometry import Color

Boxes = NDArray[np.int64]

# A part is an outlier if its move differs from the median move of so many neighbors by more than so
# many times the neighbors' own median deviation; it needs so many neighbors to be judged.
NEIGHBORS = 8
DEVIATIONS = 3.0
MIN_NEIGHBORS = 3


@dataclass(frozen=True)
class Parts:
    """Parts of one object, sampled in one frame.

    Templates and mask are on the model's device. All else is on the host, which decides which
    parts are lost: so nothing is read back for that.

    Attributes:
        boxes: (P, 4) int64 where they were sampled.
        points: (P, 2) the middles of their templates.
        sides: (P,) int64, of the templates' windows in frame pixels.
        shifts: (P, 2) how far they have moved since.
        kernels: (P, 3, C, a, a) templates.
        reference_scores: (P,) the scores that they have in the frame they are from.
        source_mask: (H, W) probabilities that they were sampled from.
        color: what is seen outside the frame.
        age: how many frames ago that was.
        motion: (2,) the median of their moves in the last frame.
    """

    boxes: Tensor
    points: Tensor
    sides: Tensor
    shifts: Tensor
    kernels: Tensor
    reference_scores: Tensor
    source_mask: Tensor
    color: Color
    age: int = 0
    motion: Tensor | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, kept: Tensor) -> Parts:
        """Return the parts of a (P,) bool of the host."""
        if bool(kept.all()):
            return self
        numbers = kept.nonzero()[:, 0]
        kernels = self.kernels[to_device(numbers, self.kernels, torch.int64)]
        return replace(
            self,
            boxes=self.boxes[kept],
            points=self.points[kept],
            sides=self.sides[kept],
            shifts=self.shifts[kept],
            kernels=kernels,
            reference_scores=self.reference_scores[kept],
        )

    def moved_boxes(self) -> Tensor:
        """Return (P, 4) int64 where they are now."""
        return self.boxes + self.shifts.round().long().repeat(1, 2)


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

    # (P, n, n): prefer cells near the middle
    line = torch.hann_window(cells, periodic=False, dtype=scores.dtype, device=scores.device)
    window = torch.outer(line, line)
    own_share = 1 - window_influence
    ranks = relative * own_share + window * window_influence

    # (P,): the best cell of each map
    best = ranks.flatten(1).argmax(dim=1)
    row = best // cells
    column = best % cells

    # (P,): the vertices of the parabolas through it and its neighbors, along x and along y
    parts = torch.arange(count, device=scores.device)
    shift_x = _parabola_vertex(ranks[parts, row], column)
    shift_y = _parabola_vertex(ranks[parts, :, column], row)

    # (P, 2): from the middle cell
    middle = cells // 2
    x = column - middle + shift_x
    y = row - middle + shift_y
    places = torch.stack([x, y], dim=1)
    return places, scores[parts, row, column]


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
    steps = torch.arange(-1, 2, device=index.device)
    around = (index[:, None] + steps).clamp(0, last)
    left, middle, right = lines.gather(1, around).unbind(dim=1)

    # (P,): the vertex of the parabola through these three
    curvature = 2 * middle - left - right
    slope = right - left
    vertex = slope / (2 * curvature).clamp(min=1e-12)

    # There is none at the ends, nor on a plain.
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

    # (P, P): the distances of the parts of the same object
    distance = torch.cdist(places, places)
    is_other_object = objects[:, None] != objects
    distance = distance.masked_fill(is_other_object, torch.inf)
    distance = distance.fill_diagonal_(torch.inf)

    # (P, N): the nearest ones
    count = min(NEIGHBORS, len(places))
    distance, nearest = distance.topk(count, largest=False)
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


def integral_image(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (H + 1, W + 1): how many of the object's pixels are above and to the left."""
    height, width = mask.shape

    # a row and a column of zeros in front
    integral = np.zeros((height + 1, width + 1), dtype=np.int64)
    sums_of_columns = mask.cumsum(axis=0)
    integral[1:, 1:] = sums_of_columns.cumsum(axis=1)
    return integral


def coverage(boxes: Boxes, integral: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each box's pixels that are the object's.

    Args:
        boxes: (P, 4); what is outside the frame is nobody's.
        integral: of the object's mask.

    Returns:
        (P,) in [0, 1].
    """
    height = integral.shape[0] - 1
    width = integral.shape[1] - 1

    # (P,): the corners of what of each box is in the frame
    left, top, right, bottom = boxes.T
    x1 = left.clip(0, width)
    y1 = top.clip(0, height)
    x2 = right.clip(0, width)
    y2 = bottom.clip(0, height)

    # The object's pixels in them: what is above and to the left of the lower right corner, without
    # what is above or to the left of the box.
    pixels = integral[y2, x2]
    pixels = pixels - integral[y1, x2]
    pixels = pixels - integral[y2, x1]
    pixels = pixels + integral[y1, x1]

    # of all of the box
    areas = (right - left) * (bottom - top)
    return np.asarray(pixels / areas)


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

        # what the mask showed in it
        shown = source_mask[top:bottom, left:right]

        # where it is now
        rows = slice(top + dy, bottom + dy)
        columns = slice(left + dx, right + dx)
        votes[rows, columns] += shown
        counts[rows, columns] += 1

    # their mean
    mean = votes / counts.clamp(min=1)
    return mean, counts


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

    # The prior stays where there are no votes.
    is_voted = counts > 0
    attended = torch.where(is_voted, voted, mask_prior)
    difference = attended - mask_prior
    return mask_prior + attention * difference
