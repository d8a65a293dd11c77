"""Simulated clicks for training: what a user would click on, given a guide and the true mask.

The first click lies inside the object, later ones in the largest region that the guide has wrong,
as in Sofiiuk et al., Reviving Iterative Training with Mask Guidance for Interactive Segmentation,
ICIP 2022, section 3.2. A click is a row x, y, sign: pixel coordinates, +1 object, -1 background.

T frames of H x W pixels, K objects, P clicks at most.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mmvos.deprecation import accept_old_options
from mmvos.registry import TRANSFORMS
from mmvos.structures import GuideKind
from mmvos.structures.rle import tight_box

Mask = NDArray[np.bool_]
Click = tuple[float, float, int]

BOX_PRIOR = 0.5  # value of a guide inside a box; 1 is the value inside a mask
MAX_CLICKS = 4  # P
CLICKS_ALONE_PROB = 0.12  # that a first frame is given by clicks alone
CLICKS_PROB = 0.12  # of clicks beside another guide
LOST_PART_PROB = 0.25  # that the same part is missing from all later guides

_MIN_REGION = 12  # pixels of a wrong region that is worth a click
_RING = 0.25  # width of the ring in which background is clicked, over the object's extent
_KEPT_PART = (0.4, 0.85)  # bounds of the share of pixels that is left of an object


@TRANSFORMS.register_module()
@accept_old_options(removed=('points', 'clicks', 'lost_part'))
class SimulateClicks(BaseTransform):
    """Add ``gt_clicks``, a list over T of (K, P, 3) float32; rows of sign 0 are no clicks.

    Comes after ``DeformGuides``, whose guides and kinds it changes: some first frames are given by
    clicks alone (``GuideKind.CLICKS``, a guide of zeros), boxes get a value of their own, and the
    same side of an object may be missing from the guides of all later frames. Draws from numpy's
    global generator.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``gt_masks``, ``gt_guides`` and ``gt_guide_kinds``; see the class."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        guides = results['gt_guides']
        num_objects = len(guides[0])
        clicks = [np.zeros((num_objects, MAX_CLICKS, 3), np.float32) for _ in guides]
        for k in range(num_objects):
            # The side of the object that is missing from all later guides, if any.
            angle = None
            if rng.random() < LOST_PART_PROB:
                angle = rng.uniform(0, 2 * np.pi)
            kept = rng.uniform(*_KEPT_PART)
            for t in range(len(guides)):
                true_mask = results['gt_masks'][t].masks[k].astype(bool)
                guide = guides[t][k]
                kind = results['gt_guide_kinds'][t][k]

                # A first frame that is given by clicks alone.
                if t == 0 and rng.random() < CLICKS_ALONE_PROB:
                    results['gt_guide_kinds'][t][k] = GuideKind.CLICKS
                    guide[guide != 0] = 0
                    clicks[t][k] = _draw_first_clicks(rng, true_mask)
                    continue
                if kind == GuideKind.BOX:
                    guide[guide > 0] = BOX_PRIOR
                if kind == GuideKind.PERTURBED and t > 0 and angle is not None:
                    _cut_side(guide, angle, kept)

                # Clicks where this guide is wrong.
                may_be_corrected = kind in (GuideKind.BOX, GuideKind.PERTURBED)
                if may_be_corrected and rng.random() < CLICKS_PROB:
                    clicks[t][k] = _draw_corrections(rng, guide > 0, true_mask)
        results['gt_clicks'] = clicks
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _draw_first_clicks(rng: np.random.Generator, true_mask: Mask) -> NDArray[np.float32]:
    """A click well inside the object, and now and then more on it or beside it: (P, 3)."""
    clicks = [_draw_inner_point(rng, true_mask, 1)]
    ring = _ring_around(true_mask)
    more = 0
    if rng.random() < 0.5:
        more = int(rng.integers(0, MAX_CLICKS))
    for _ in range(more):
        is_background = rng.random() < 0.5
        if is_background and ring.any():
            clicks.append(_draw_any_point(rng, ring, -1))
        else:
            clicks.append(_draw_any_point(rng, true_mask, 1))
    return _fill_rows(clicks)


def _draw_corrections(
    rng: np.random.Generator, guide: Mask, true_mask: Mask
) -> NDArray[np.float32]:
    """Clicks into the largest regions that the guide has wrong: (P, 3)."""
    clicks = []
    count = int(rng.integers(1, MAX_CLICKS))
    for _ in range(count):
        # The larger of what is missing and what is too much.
        missing = _largest_region(true_mask & ~guide)
        surplus = _largest_region(guide & ~true_mask)
        is_missing = missing.sum() >= surplus.sum()
        wrong = missing if is_missing else surplus
        if wrong.sum() < _MIN_REGION:
            break
        sign = 1 if is_missing else -1
        clicks.append(_draw_inner_point(rng, wrong, sign))

        # That region is right now; the next click goes elsewhere.
        guide = guide ^ wrong
    return _fill_rows(clicks)


def _fill_rows(clicks: list[Click]) -> NDArray[np.float32]:
    """Clicks as (P, 3), the other rows 0."""
    rows = np.zeros((MAX_CLICKS, 3), np.float32)
    for index, click in enumerate(clicks[:MAX_CLICKS]):
        rows[index] = click
    return rows


def _draw_inner_point(rng: np.random.Generator, region: Mask, sign: int) -> Click:
    """A click in the region, the more probable the farther from its edge."""
    # The edge of the frame is an edge of the region.
    padded = np.pad(region.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    depth = depth[1:-1, 1:-1]
    weights = depth.astype(np.float64) ** 2
    probabilities = weights.ravel() / weights.sum()
    position = rng.choice(weights.size, p=probabilities)
    return _click_at(int(position), region, sign)


def _draw_any_point(rng: np.random.Generator, region: Mask, sign: int) -> Click:
    """A click anywhere in the region."""
    position = rng.choice(np.flatnonzero(region))
    return _click_at(int(position), region, sign)


def _click_at(position: int, region: Mask, sign: int) -> Click:
    """A click on the middle of a pixel, given by its position in the flattened region."""
    y, x = divmod(position, region.shape[1])
    return x + 0.5, y + 0.5, sign


def _largest_region(mask: Mask) -> Mask:
    """The largest connected part of a mask; the mask itself where it is empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 1:
        return mask

    # Label 0 is the background.
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = 1 + int(areas.argmax())
    return np.asarray(labels == largest)


def _ring_around(mask: Mask) -> Mask:
    """Background within a quarter of the object's extent."""
    x1, y1, x2, y2 = tight_box(mask) or (0, 0, 0, 0)
    extent = max(x2 - x1, y2 - y1)
    width = max(int(_RING * extent), 3)
    # Pixels between the object and a click would be of unclear side.
    outside = (~mask).astype(np.uint8)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 3)
    is_apart = distance > 2
    is_near = distance <= width
    return np.asarray(is_apart & is_near)


def _cut_side(guide: NDArray[np.float32], angle: float, kept: float) -> None:
    """Turn the object's pixels on one side of a line into background, in place.

    Args:
        guide: (H, W) in [-1, 1].
        angle: of the line's normal, in radians.
        kept: share of the pixels that is left.
    """
    rows, columns = np.nonzero(guide > 0)
    if len(rows) == 0:
        return
    along = np.cos(angle) * columns + np.sin(angle) * rows
    line = np.quantile(along, kept)
    is_cut_off = along > line
    guide[rows[is_cut_off], columns[is_cut_off]] = -1
