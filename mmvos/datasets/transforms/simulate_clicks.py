"""Simulated clicks for training: what a user would click on, given a guide and the true mask.

The first click lies inside the object, later ones in the largest region that the guide has wrong, as
in Sofiiuk et al., Reviving Iterative Training with Mask Guidance for Interactive Segmentation,
ICIP 2022, section 3.2. A click is a row x, y, sign: pixel coordinates, +1 object, -1 background.

T frames of H x W pixels, K objects, P clicks at most.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mmvos.registry import TRANSFORMS
from mmvos.structures import GuideKind

Mask = NDArray[np.bool_]
BOX_PRIOR = 0.5  # value of a guide inside a box; 1 is the value inside a mask
MAX_CLICKS = 4  # P
_MIN_REGION = 12  # pixels of a wrong region that is worth a click
_RING = 0.25  # width of the ring in which background is clicked, over the object's extent


@TRANSFORMS.register_module()
class SimulateClicks(BaseTransform):
    """Add ``gt_clicks``, a list over T of (K, P, 3) float32; rows of sign 0 are no clicks.

    Comes after ``DeformGuides``, whose guides and kinds it changes: some first frames are given by
    clicks alone (kind 4, a guide of zeros), boxes get a value of their own, and the same side of an
    object may be missing from the guides of all later frames.

    Args:
        points: probability that a first frame is given by clicks alone.
        clicks: probability of clicks beside another guide.
        lost_part: probability that the same part is missing from all later guides.
    """

    def __init__(
        self,
        points: float = 0.12,
        clicks: float = 0.12,
        lost_part: float = 0.25,
    ) -> None:
        self.points, self.clicks, self.lost_part = points, clicks, lost_part

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``gt_masks``, ``gt_guides`` and ``gt_guide_kinds``; see the class."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        guides, kinds = results['gt_guides'], results['gt_guide_kinds']
        frames, objects = len(guides), len(guides[0])
        clicks = [np.zeros((objects, MAX_CLICKS, 3), np.float32) for _ in range(frames)]
        for k in range(objects):
            # Which side of the object is missing from all later guides.
            angle = rng.uniform(0, 2 * np.pi) if rng.random() < self.lost_part else None
            kept = rng.uniform(0.4, 0.85)
            for t in range(frames):
                truth = results['gt_masks'][t].masks[k].astype(bool)
                guide = guides[t][k]
                if t == 0 and rng.random() < self.points:
                    kinds[t][k] = GuideKind.CLICKS
                    guide[guide != 0] = 0
                    clicks[t][k] = self._first_clicks(rng, truth)
                    continue
                if kinds[t][k] == GuideKind.BOX:
                    guide[guide > 0] = BOX_PRIOR
                if t > 0 and angle is not None and kinds[t][k] == GuideKind.PERTURBED:
                    _cut_side(guide, angle, kept)
                if (
                    kinds[t][k] in (GuideKind.BOX, GuideKind.PERTURBED)
                    and rng.random() < self.clicks
                ):
                    clicks[t][k] = self._corrections(rng, guide > 0, truth)
        results['gt_clicks'] = clicks
        return results

    def _first_clicks(self, rng: np.random.Generator, truth: Mask) -> NDArray[np.float32]:
        """A click well inside the object, and now and then more on it or beside it: (P, 3)."""
        rows = [_inner_point(rng, truth, 1)]
        ring = _ring_around(truth)
        for _ in range(int(rng.integers(0, MAX_CLICKS)) if rng.random() < 0.5 else 0):
            negative = rng.random() < 0.5 and ring.any()
            rows.append(_any_point(rng, ring, -1) if negative else _any_point(rng, truth, 1))
        return self._rows(rows)

    def _corrections(
        self, rng: np.random.Generator, guide: Mask, truth: Mask
    ) -> NDArray[np.float32]:
        """Clicks into the largest regions that the guide has wrong: (P, 3)."""
        rows = []
        for _ in range(int(rng.integers(1, MAX_CLICKS))):
            missing = _largest_region(truth & ~guide)
            surplus = _largest_region(guide & ~truth)
            wrong, sign = (missing, 1) if missing.sum() >= surplus.sum() else (surplus, -1)
            if wrong.sum() < _MIN_REGION:
                break
            rows.append(_inner_point(rng, wrong, sign))
            # The next click goes elsewhere.
            guide = guide ^ wrong
        return self._rows(rows)

    def _rows(self, rows: list[tuple[float, float, int]]) -> NDArray[np.float32]:
        filled = np.zeros((MAX_CLICKS, 3), np.float32)
        for index, row in enumerate(rows[:MAX_CLICKS]):
            filled[index] = row
        return filled

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(points={self.points}, clicks={self.clicks}, '
            f'lost_part={self.lost_part})'
        )


def _inner_point(rng: np.random.Generator, region: Mask, sign: int) -> tuple[float, float, int]:
    """A click in the region, the more probable the farther from its edge."""
    padded = np.pad(region.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1].astype(np.float64) ** 2
    chosen = int(rng.choice(depth.size, p=depth.ravel() / depth.sum()))
    y, x = divmod(chosen, region.shape[1])
    return x + 0.5, y + 0.5, sign


def _any_point(rng: np.random.Generator, region: Mask, sign: int) -> tuple[float, float, int]:
    """A click anywhere in the region."""
    chosen = int(rng.choice(np.flatnonzero(region)))
    y, x = divmod(chosen, region.shape[1])
    return x + 0.5, y + 0.5, sign


def _largest_region(mask: Mask) -> Mask:
    """The largest connected part of a mask; the mask itself where it is empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 1:
        return mask
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.asarray(labels == largest)


def _ring_around(mask: Mask) -> Mask:
    """Background within a quarter of the object's extent."""
    _, _, w, h = cv2.boundingRect(mask.astype(np.uint8))
    width = max(int(_RING * max(w, h)), 3)
    outside = (~mask).astype(np.uint8)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 3)
    return np.asarray((distance > 2) & (distance <= width))


def _cut_side(guide: NDArray[np.float32], angle: float, kept: float) -> None:
    """Turn the object's pixels on one side of a line into background, in place."""
    rows, columns = np.nonzero(guide > 0)
    if len(rows):
        along = np.cos(angle) * columns + np.sin(angle) * rows
        lost = along > np.quantile(along, kept)
        guide[rows[lost], columns[lost]] = -1
