"""Pasting moving objects into a clip: look-alikes beside the target, and things that pass before it.

Clips of still images have neither neighbors that look like the target nor occlusions. Both are what
mask propagation fails at. Distractors are copies of the target or objects of an image set; they move
on their own, and lie behind the target (then they are background) or before it (then they cut it).

T frames of H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks
from numpy.typing import NDArray

from mmvos.datasets.image_clips import ImageClipDataset
from mmvos.io.rle import decode_mask
from mmvos.registry import TRANSFORMS

Image = NDArray[np.uint8]

_SIZES = (0.5, 1.3)  # of a pasted object over the target's, by the root of the areas
_REACH = 1.4  # of its first position around the target, over the target's extent
_STEP = 0.25  # of its motion from frame to frame, over the target's extent
_TURN = 12  # degrees from frame to frame
_SHOWN_FIRST, _SHOWN_LATER = 0.6, 0.3  # least share of the target that stays visible
_DRAWS = 4


@dataclass(frozen=True)
class _Patch:
    """An object cut out of an image: (h, w, 3) BGR and its (h, w) mask in [0, 1]."""

    image: Image
    alpha: NDArray[np.float32]


@TRANSFORMS.register_module()
class PasteObjects(BaseTransform):
    """Paste moving objects into the frames of a clip of one object.

    Args:
        ann_file, data_root, data_prefix: of a ``ImageClipDataset``, whose objects are pasted.
        prob: that anything is pasted.
        most: objects pasted at most.
        same: probability that a pasted object is a mirrored copy of the target.
        over: probability that it lies before the target.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        data_prefix: dict[str, str] | None = None,
        prob: float = 0.5,
        most: int = 2,
        same: float = 0.4,
        over: float = 0.4,
    ) -> None:
        self.objects = ImageClipDataset(ann_file, data_root, data_prefix, lazy_init=True)
        self.prob, self.most, self.same, self.over = prob, most, same, over

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` and ``gt_masks``, lists over T; the masks are those of one object."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        if rng.random() >= self.prob:
            return results
        frames = [image.copy() for image in results['img']]
        masks = [item.masks[0].copy() for item in results['gt_masks']]
        for _ in range(int(rng.integers(1, self.most + 1))):
            patch = self._draw_patch(rng, frames[0], masks[0])
            if patch is not None:
                frames, masks = self._paste(rng, frames, masks, patch)
        height, width = masks[0].shape
        results['img'] = frames
        results['gt_masks'] = [BitmapMasks(mask[None], height, width) for mask in masks]
        return results

    def _draw_patch(
        self, rng: np.random.Generator, frame: Image, mask: NDArray[np.uint8]
    ) -> _Patch | None:
        """An object to paste, at the target's scale; None where it is too small."""
        if rng.random() < self.same:
            image, shape = frame[:, ::-1], mask[:, ::-1]
        else:
            record = self.objects.get_data_info(int(rng.integers(len(self.objects))))
            image = cv2.imread(record['img_path'])
            shape = decode_mask(
                record['segmentation'],
                record['height'],
                record['width'],
                f'{record["img_path"]}: annotation {record["annotation"]}',
            )
        x, y, w, h = cv2.boundingRect(np.ascontiguousarray(shape))
        area, target = int(shape.sum()), int(mask.sum())
        if image is None or area < 64 or target < 64:
            return None
        factor = rng.uniform(*_SIZES) * np.sqrt(target / area)
        size = max(round(w * factor), 4), max(round(h * factor), 4)
        if max(size) > 2 * max(frame.shape):
            return None
        part = np.ascontiguousarray(image[y : y + h, x : x + w])
        alpha = np.ascontiguousarray(shape[y : y + h, x : x + w]).astype(np.float32)
        shrinks = cv2.INTER_AREA if factor < 0.7 else cv2.INTER_LINEAR
        small = cv2.resize(part, size, interpolation=shrinks)
        small_alpha = cv2.resize(alpha, size, interpolation=shrinks)
        return _Patch(np.asarray(small, np.uint8), np.asarray(small_alpha, np.float32))

    def _paste(
        self,
        rng: np.random.Generator,
        frames: list[Image],
        masks: list[NDArray[np.uint8]],
        patch: _Patch,
    ) -> tuple[list[Image], list[NDArray[np.uint8]]]:
        """Frames and masks with the object on a path of its own; as given if it hides too much."""
        before = rng.random() < self.over
        x, y, w, h = cv2.boundingRect(masks[0])
        extent = np.array([max(w, h), max(w, h)], dtype=float)
        for _ in range(_DRAWS):
            center = np.array([x + w / 2, y + h / 2]) + rng.uniform(-_REACH, _REACH, 2) * extent
            step = rng.uniform(-_STEP, _STEP, 2) * extent
            pasted, left = [], []
            for index, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
                shake = rng.uniform(-0.05, 0.05, 2) * extent
                place = center + index * step + shake
                turned = _place(patch, place, rng.uniform(-_TURN, _TURN), mask.shape)
                image, visible = _blend(frame, mask, turned, before)
                pasted.append(image)
                left.append(visible)
            if _keeps_enough(masks, left):
                return pasted, left
        return frames, masks

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, most={self.most}, same={self.same}, '
            f'over={self.over})'
        )


def _place(
    patch: _Patch, center: NDArray[np.float64], degrees: float, shape: tuple[int, ...]
) -> _Patch:
    """The patch turned and put into an empty frame of H x W."""
    height, width = shape
    h, w = patch.alpha.shape
    matrix = np.asarray(cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0), np.float64)
    matrix[:, 2] = matrix[:, 2] + center - (w / 2, h / 2)
    image = cv2.warpAffine(patch.image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(patch.alpha, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return _Patch(np.asarray(image, np.uint8), np.asarray(alpha, np.float32))


def _blend(
    frame: Image, mask: NDArray[np.uint8], placed: _Patch, before: bool
) -> tuple[Image, NDArray[np.uint8]]:
    """The frame with the patch before or behind the target, and what is left of the target."""
    alpha = placed.alpha
    if not before:
        # The target's own edge stays soft against what lies behind it.
        target = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0), np.float32)
        alpha = alpha * (1 - target)
    mixed = frame + (placed.image.astype(np.float32) - frame) * alpha[..., None]
    visible = mask * (placed.alpha < 0.5).astype(np.uint8) if before else mask
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8), visible


def _keeps_enough(masks: list[NDArray[np.uint8]], left: list[NDArray[np.uint8]]) -> bool:
    """Whether enough of the target is visible in each frame."""
    for index, (mask, visible) in enumerate(zip(masks, left, strict=True)):
        share = _SHOWN_LATER if index else _SHOWN_FIRST
        if int(visible.sum()) < share * int(mask.sum()):
            return False
    return bool(left[0].any())
