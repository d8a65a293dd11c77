"""Region similarity J, contour accuracy F and their statistics over time (DAVIS: Perazzi et al.,
CVPR 2016).

Pure arithmetic on masks, shared by the DAVIS and YouTube-VOS protocols. A mask is cut to what is
set before anything is computed; the values are those of the whole frame, bit for bit. Letters: H, W
frame; n frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bit_mask import BitMask, contour, count, count_shared, dilate, pack

TOLERANCE = 0.008  # of the frame's diagonal: how far apart contours may be
_RECALL_THRESHOLD = 0.5


@dataclass(frozen=True)
class Region:
    """One object in one frame, ready to be compared with others of the frame.

    Attributes:
        mask, area: what is set, and its number of pixels.
        edge, length: contour pixels, and their number.
        reach: pixels within the tolerance of the contour.
    """

    mask: BitMask
    area: int
    edge: BitMask
    length: int
    reach: BitMask


def contour_radius(height: int, width: int, tolerance: float = TOLERANCE) -> int:
    """How many pixels apart contours may be: 8 for 480 x 854. A tolerance of 1 or more is itself in
    pixels.
    """
    if tolerance >= 1:
        return math.ceil(tolerance)
    diagonal = np.linalg.norm((height, width))
    return math.ceil(tolerance * diagonal)


def region(mask: NDArray[np.bool_], radius: int) -> Region:
    """Prepare a (H, W) bool mask for comparison with a contour tolerance of `radius` pixels."""
    cut = pack(mask, margin=radius + 1)
    edge = contour(cut)
    return Region(
        mask=cut,
        area=count(cut),
        edge=edge,
        length=count(edge),
        reach=dilate(edge, radius),
    )


def jaccard(first: Region, second: Region) -> float:
    """Intersection over union of two masks of one frame; 1 where both are empty."""
    shared = count_shared(first.mask, second.mask)
    union = first.area + second.area - shared
    if union == 0:
        return 1.0
    return shared / union


def contour_accuracy(prediction: Region, truth: Region) -> float:
    """F-measure of contour precision and recall; a contour pixel is right within the tolerance of
    the other contour.

    1 where both contours are empty (two empty masks, or an empty one and one that fills the frame),
    0 where one is.
    """
    if not prediction.length or not truth.length:
        both_empty = prediction.length == truth.length
        return float(both_empty)
    right = count_shared(prediction.edge, truth.reach)
    precision = right / prediction.length
    found = count_shared(truth.edge, prediction.reach)
    recall = found / truth.length
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def j_and_f(
    prediction: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    void: NDArray[np.bool_] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[float, float]:
    """J and F of one object in one frame.

    Args:
        prediction: (H, W) bool.
        truth: (H, W) bool.
        void: (H, W) bool; pixels that count neither in J nor in F.
        tolerance: how far apart contours may be, see `contour_radius`.
    """
    assert prediction.shape == truth.shape, (prediction.shape, truth.shape)
    if void is not None:
        prediction = prediction & ~void
        truth = truth & ~void
    height, width = truth.shape
    radius = contour_radius(height, width, tolerance)
    predicted_region = region(prediction, radius)
    true_region = region(truth, radius)
    j = jaccard(predicted_region, true_region)
    f = contour_accuracy(predicted_region, true_region)
    return j, f


@dataclass(frozen=True)
class Statistics:
    """One measure of one object over time, fractions: mean, share of frames above 0.5, first minus
    last quarter.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: NDArray[np.float64]) -> Statistics:
    """Statistics of the values (n,) of n >= 1 frames.

    The four quarters share their edge frames, as in the official code; frame numbers do not
    overflow at 256.
    """
    assert values.ndim == 1 and len(values), values.shape

    # five edges between four quarters, rounded half up as MATLAB does
    edges = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(np.int64) - 1
    first = values[edges[0] : edges[1] + 1]
    last = values[edges[3] : edges[4] + 1]
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > _RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )
