"""Guides for training: for each frame of a clip a wrong idea of where the object is, which the net
is to put right.

T frames of H x W pixels, K objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmvos.deprecation import accept_old_options
from mmvos.registry import TRANSFORMS
from mmvos.structures import GuideKind
from mmvos.structures.rle import Box

from .mask_deformations import (
    Mask,
    affine_deform,
    cut_part,
    dilate_disk,
    filled_box,
    move_away,
    tps_deform,
)

GT_MASK_PROB = 0.5  # of the true mask in the first frame
BOX_PROB = 0.35  # of a box in the first frame; the guide is perturbed otherwise
ABSENT_PROB = 0.07  # that a later guide is moved to where no object is
UNCHANGED_PROB = 0.2  # that the mask of the frame before is left as it is
STEP_PROB = 0.8  # of each step of a perturbation
CUT_PROB = 0.3  # of a cut in every frame but the first

_DILATION = 5 / 480  # radius over the side of the picture,
_MAX_DILATION = 0.1  # but no more than this over the root of the object's area


@TRANSFORMS.register_module()
@accept_old_options(removed=('exact', 'box', 'away', 'plain', 'step', 'cut'))
class DeformGuides(BaseTransform):
    """Add ``gt_guides`` and ``gt_guide_kinds``, lists over T of (K, H, W) float32 and (K,) int64.

    A guide is +1 and -1 inside the frame and 0 in the padding around it (outside of ``inside``,
    which ``CropClip`` gives).

    The first frame's guide comes from its own mask: the mask itself, a filled box or a perturbed
    mask. Every other frame's guide comes from the last frame before it that shows the object:
    perturbed, as it is, or moved to where no object is, so that nothing is to be found there
    (perturbed where there is no place). A perturbation is a scaling and shift, a thin-plate spline
    and a dilation, each of them left out now and then. A cut then takes away what lies on one side
    of a line through the object: such a part is lost when a net mistakes it for background, and can
    be found again by what the first frame shows. Draws from numpy's global generator.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``gt_masks``, a list over T of BitmapMasks of K masks.

        None of the masks may be empty in the first frame.
        """
        rng = np.random.default_rng(np.random.randint(1 << 31))

        # (T, K, H, W)
        clip = np.stack([masks.masks for masks in results['gt_masks']]).astype(bool)
        num_frames, num_objects, height, width = clip.shape
        assert clip[0].any(axis=(1, 2)).all(), (
            'an object is absent from the first frame of its clip'
        )
        inside = (0, 0, width, height)
        if 'inside' in results:
            inside = results['inside'][0]
        x1, y1, x2, y2 = inside
        guides = np.zeros(clip.shape, dtype=np.float32)
        kinds = np.empty((num_frames, num_objects), dtype=np.int64)
        for k in range(num_objects):
            # Where the object was last seen.
            last = clip[0, k]
            for t in range(num_frames):
                mask = clip[t, k]
                if t == 0:
                    guide, kinds[t, k] = _draw_first(mask, rng)
                else:
                    guide, kinds[t, k] = _draw_later(last, mask, inside, rng)

                # From 0 and 1 to -1 and +1, the padding stays 0.
                guides[t, k, y1:y2, x1:x2] = guide[y1:y2, x1:x2] * np.float32(2) - 1
                if mask.any():
                    last = mask
        results['gt_guides'] = list(guides)
        results['gt_guide_kinds'] = list(kinds)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _draw_first(mask: Mask, rng: np.random.Generator) -> tuple[Mask, GuideKind]:
    """The guide of a clip's first frame, from its own mask."""
    draw = rng.random()
    if draw < GT_MASK_PROB:
        return mask, GuideKind.GT_MASK
    if draw < GT_MASK_PROB + BOX_PROB:
        return filled_box(mask, rng), GuideKind.BOX
    return _perturb(mask, rng), GuideKind.PERTURBED


def _draw_later(
    last: Mask, mask: Mask, inside: Box, rng: np.random.Generator
) -> tuple[Mask, GuideKind]:
    """The guide of a later frame.

    Args:
        last: the object where it was last seen.
        mask: the object in this frame.
        inside: the part of the picture that shows the frame.
        rng: draws the kind and the perturbation.
    """
    draw = rng.random()
    if draw < ABSENT_PROB:
        moved = move_away(last, mask, rng, inside)
        if moved is not None:
            return moved, GuideKind.ABSENT
    is_unchanged = ABSENT_PROB <= draw < ABSENT_PROB + UNCHANGED_PROB
    guide = last if is_unchanged else _perturb(last, rng)
    if rng.random() < CUT_PROB:
        guide = cut_part(guide, rng)
    return guide, GuideKind.PERTURBED


def _perturb(mask: Mask, rng: np.random.Generator) -> Mask:
    """A perturbed mask that leaves something in the picture."""
    guide = mask
    if rng.random() < STEP_PROB:
        guide = affine_deform(guide, rng)
    if rng.random() < STEP_PROB:
        guide = tps_deform(guide, rng)
    if rng.random() < STEP_PROB:
        radius = min(_DILATION * max(mask.shape), _MAX_DILATION * np.sqrt(mask.sum()))
        guide = dilate_disk(guide, radius)
    return guide if guide.any() else mask
