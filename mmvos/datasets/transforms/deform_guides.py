"""Guides for training: for each frame of a clip a wrong idea of where the object is, which the net
is to put right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmvos.registry import TRANSFORMS
from mmvos.structures import GuideKind

from .mask_deformations import (
    Box,
    Mask,
    affine_deform,
    cut_part,
    dilate_disk,
    filled_box,
    move_away,
    tps_deform,
)

_RADIUS = 5 / 480  # of the dilation, over the side of the picture


@TRANSFORMS.register_module()
class DeformGuides(BaseTransform):
    """Adds ``gt_guides`` and ``gt_guide_kinds``, lists over T of (K, H, W) float32 and (K,) int64.

    A guide is +1 and -1 inside the frame and 0 in the padding around it (outside of ``inside``,
    which ``CropClip`` gives).

    The first frame's guide comes from its own mask: exact (kind 0), a filled box (2) or deformed
    (1). Every other frame's guide comes from the last frame before it that shows the object:
    deformed (1), as it is (1), or moved to where no object is, so that nothing is to be found there
    (3; deformed where there is no room). A deformation is a scaling and shift, a thin-plate spline
    and a dilation, each with probability ``step``. A cut then takes away what lies on one side of a
    line through the object: such a part is lost when a net mistakes it for background, and can be
    found again by what the first frame shows. Draws from numpy's global generator.

    Args:
        exact, box: probabilities of those kinds in the first frame; its guide is deformed
            otherwise.
        away: probability of kind 3 in every other frame.
        plain: probability that the mask of the frame before is left as it is.
        step: probability of each step of a deformation.
        cut: probability of a cut in every frame but the first.
    """

    def __init__(
        self,
        exact: float = 0.5,
        box: float = 0.35,
        away: float = 0.07,
        plain: float = 0.2,
        step: float = 0.8,
        cut: float = 0.3,
    ) -> None:
        self.exact, self.box, self.away, self.plain, self.step, self.cut = (
            exact,
            box,
            away,
            plain,
            step,
            cut,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Reads ``gt_masks``, a list over T of BitmapMasks of K masks, none of them empty in the
        first frame.
        """
        rng = np.random.default_rng(np.random.randint(1 << 31))
        clip = np.stack([masks.masks for masks in results['gt_masks']]).astype(bool)  # (T, K, H, W)
        assert clip[0].any(axis=(1, 2)).all(), (
            'an object is absent from the first frame of its clip'
        )
        guides, kinds = (
            np.zeros(clip.shape, dtype=np.float32),
            np.empty(clip.shape[:2], dtype=np.int64),
        )
        x1, y1, x2, y2 = inside = (
            results['inside'][0] if 'inside' in results else (0, 0, clip.shape[3], clip.shape[2])
        )
        for k in range(clip.shape[1]):
            last = clip[0, k]
            for t, mask in enumerate(clip[:, k]):
                guide, kinds[t, k] = (
                    self._later(last, mask, inside, rng) if t else self._first(mask, rng)
                )
                guides[t, k, y1:y2, x1:x2] = guide[y1:y2, x1:x2] * np.float32(2) - 1
                last = mask if mask.any() else last
        results.update(gt_guides=list(guides), gt_guide_kinds=list(kinds))
        return results

    def _first(self, mask: Mask, rng: np.random.Generator) -> tuple[Mask, int]:
        draw = rng.random()
        if draw < self.exact:
            return mask, GuideKind.GT_MASK
        if draw < self.exact + self.box:
            return filled_box(mask, rng), GuideKind.BOX
        return self._deformed(mask, rng), GuideKind.PERTURBED

    def _later(
        self, last: Mask, mask: Mask, inside: Box, rng: np.random.Generator
    ) -> tuple[Mask, int]:
        draw = rng.random()
        if draw < self.away:
            moved = move_away(last, mask, rng, inside)
            if moved is not None:
                return moved, GuideKind.ABSENT
        guide = last if self.away <= draw < self.away + self.plain else self._deformed(last, rng)
        return (cut_part(guide, rng) if rng.random() < self.cut else guide), GuideKind.PERTURBED

    def _deformed(self, mask: Mask, rng: np.random.Generator) -> Mask:
        """A deformation that leaves something in the picture."""
        guide = mask
        if rng.random() < self.step:
            guide = affine_deform(guide, rng)
        if rng.random() < self.step:
            guide = tps_deform(guide, rng)
        if rng.random() < self.step:
            guide = dilate_disk(guide, min(_RADIUS * max(mask.shape), 0.1 * np.sqrt(mask.sum())))
        return guide if guide.any() else mask

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(exact={self.exact}, box={self.box}, away={self.away}, '
            f'plain={self.plain}, '
            f'step={self.step}, cut={self.cut})'
        )
