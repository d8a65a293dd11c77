"""Sampling of an object's parts: small squares that lie on its mask.

Cheng et al., Fast and Accurate Online Video Object Segmentation via Tracking Parts (FAVOS), CVPR
2018, section 3.1. The object's box is covered with blocks, in each of which squares of random side
are drawn around random pixels of the object. Of squares that lie in each other few are kept.

Letters for shapes: H x W pixels of the frame, P parts. Boxes are int64 rows (x1, y1, x2, y2) in
pixels, the right and lower ends not included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmvos.structures.rle import tight_box

from .tracked_parts import Boxes, coverage, integral_image


class BlockRule(NamedTuple):
    """How an object of some size is sampled; all in pixels.

    Attributes:
        block: side of a block.
        min_side, max_side: between which the sides of its squares are drawn.
    """

    block: int
    min_side: int
    max_side: int


# The shorter side of the object's box from which on a rule holds.
BLOCK_RULES = {
    300: BlockRule(64, 32, 152),
    200: BlockRule(32, 28, 128),
    100: BlockRule(24, 24, 112),
    0: BlockRule(16, 24, 96),
}
MIN_BLOCK_PIXELS = 3  # of the object, for a block to have squares
MIN_COVERAGE = 0.35  # share of a part that is the object's
# A block with so many boxes is thinned: boxes go that lie in another one by more than this share.
CROWDED_BLOCK = 10
MAX_NESTED = 0.95
# All boxes are thinned by a share that begins here and falls by this step, until they are few
# enough.
FIRST_SHARE = 0.97
SHARE_STEP = 0.02
# So many boxes are compared each with each at once.
MAX_COMPARED = 2000


def block_rule(shorter_side: int) -> BlockRule:
    """Return how an object whose box has this shorter side is sampled."""
    for min_side, rule in BLOCK_RULES.items():
        if shorter_side >= min_side:
            return rule
    raise ValueError(f'a box has no side of {shorter_side} pixels')


def sample_parts(mask: NDArray[np.bool_], max_parts: int, rng: np.random.Generator) -> Boxes:
    """Sample the parts of an object.

    Args:
        mask: (H, W), the object.
        max_parts: how many parts there may be, at least 1.
        rng: the source of all chance.

    Returns:
        (P, 4), 1 <= P <= ``max_parts``: the object's own box where no square fits; none only where
        there is no object.
    """
    if max_parts < 1:
        raise ValueError(f'an object has at least one part, not {max_parts}')
    box = tight_box(mask)
    if box is None:
        return np.zeros((0, 4), dtype=np.int64)

    # The rule for the object's size.
    left, top, right, bottom = box
    rule = block_rule(min(right - left, bottom - top))

    # Squares of each block; the last block of a row or column may be narrower.
    integral = integral_image(mask)
    found = []
    for y in range(top, bottom, rule.block):
        for x in range(left, right, rule.block):
            y_end = min(y + rule.block, bottom)
            x_end = min(x + rule.block, right)
            pixels = np.argwhere(mask[y:y_end, x:x_end]) + (y, x)
            found.append(_sample_block(pixels, rule, integral, rng))

    whole = np.array([[left, top, right, bottom]], dtype=np.int64)
    parts = limit_count(np.concatenate(found), max_parts)
    return parts if len(parts) else whole


def _sample_block(
    pixels: NDArray[np.int64],
    rule: BlockRule,
    integral: NDArray[np.int64],
    rng: np.random.Generator,
) -> Boxes:
    """Squares around the object's pixels (n, 2), row and column, of one block: (P, 4)."""
    if len(pixels) < MIN_BLOCK_PIXELS:
        return np.zeros((0, 4), dtype=np.int64)

    # one square for every four pixels of a block
    count = rule.block**2 // 4
    index = rng.integers(len(pixels), size=count)
    centers = pixels[index]
    sides = rng.integers(rule.min_side, rule.max_side + 1, size=len(centers))
    boxes = part_squares(centers, sides)
    boxes = boxes[is_part(boxes, integral)]
    if len(boxes) >= CROWDED_BLOCK:
        boxes = suppress_nested(boxes, MAX_NESTED)
    return boxes


def part_squares(centers: NDArray[np.int64], sides: NDArray[np.int64]) -> Boxes:
    """Return squares of odd side around pixels; an even side is one larger.

    Args:
        centers: (P, 2) row and column.
        sides: (P,).

    Returns:
        (P, 4).
    """
    half = (sides // 2)[:, None]

    # x and y
    points = centers[:, ::-1]
    start = points - half
    end = points + half + 1
    return np.concatenate([start, end], axis=1)


def is_part(boxes: Boxes, integral: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find out which boxes lie in the frame and on the object by ``MIN_COVERAGE``.

    Args:
        boxes: (P, 4).
        integral: of the object's mask.

    Returns:
        (P,).
    """
    height = integral.shape[0] - 1
    width = integral.shape[1] - 1
    starts_inside = (boxes[:, :2] >= 0).all(axis=1)
    ends_inside = (boxes[:, 2:] <= (width, height)).all(axis=1)
    accepted = np.asarray(starts_inside & ends_inside, dtype=np.bool_)

    # The coverage is only asked for boxes in the frame.
    shares = coverage(boxes[accepted], integral)
    accepted[accepted] = shares >= MIN_COVERAGE
    return accepted


def suppress_nested(boxes: Boxes, share: float) -> Boxes:
    """Keep boxes from below upwards, each of which removes those that lie in it.

    Args:
        boxes: (P, 4).
        share: of its own area by which a box must lie in another to be removed.

    Returns:
        Those kept.
    """
    remaining = _from_below(boxes)
    kept = []
    while len(remaining):
        first = remaining[0]
        others = remaining[1:]
        kept.append(first)
        remaining = others[nested_share(first, others) <= share]
    return np.array(kept, dtype=np.int64).reshape(-1, 4)


def limit_count(boxes: Boxes, max_count: int) -> Boxes:
    """Thin boxes until there are at most so many.

    Args:
        boxes: (P, 4).
        max_count: how many there may be.

    Returns:
        Those kept.
    """
    # Very many are first brought down to a number that can be compared at once.
    share = FIRST_SHARE
    while len(boxes) > max(max_count, MAX_COMPARED) and share > 0:
        boxes = suppress_nested(boxes, share)
        share -= SHARE_STEP
    if len(boxes) <= max_count:
        return boxes

    # The same with smaller and smaller shares, the overlaps (P, P) being computed once.
    boxes = _from_below(boxes)
    nested = np.array([nested_share(box, boxes) for box in boxes])
    kept = np.ones(len(boxes), dtype=np.bool_)
    while kept.sum() > max_count and share > 0:
        for i in range(len(boxes)):
            if kept[i]:
                kept[i + 1 :] &= nested[i, i + 1 :] <= share
        share -= SHARE_STEP
    boxes = boxes[kept]
    if len(boxes) <= max_count:
        return boxes

    # What never overlaps is thinned evenly.
    index = np.linspace(0, len(boxes) - 1, max_count).round().astype(np.int64)
    return boxes[index]


def _from_below(boxes: Boxes) -> Boxes:
    """The boxes ordered by their lower ends, the lowest first."""
    order = np.argsort(boxes[:, 3], kind='stable')
    return np.asarray(boxes[order[::-1]])


def nested_share(box: NDArray[np.int64], others: Boxes) -> NDArray[np.float64]:
    """Return the share of each of the others (P, 4) that lies in a box (4,): (P,)."""
    x1, y1, x2, y2 = others.T

    # the intersection
    left = np.maximum(box[0], x1)
    top = np.maximum(box[1], y1)
    right = np.minimum(box[2], x2)
    bottom = np.minimum(box[3], y2)
    width = np.maximum(right - left, 0)
    height = np.maximum(bottom - top, 0)

    # over the area of the other box
    area = (x2 - x1) * (y2 - y1)
    return np.asarray(width * height / area)
