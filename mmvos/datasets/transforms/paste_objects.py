"""Pasting moving objects into a clip: look-alikes beside the target, and things that pass before
it.

Clips of still images have neither neighbors that look like the target nor occlusions. Both are what
mask propagation fails at. Distractors are copies of the target or objects of an image set; they
move on their own, and lie behind the target (then they are background) or before it (then they cut
it).

T frames of H x W pixels; a patch has h x w.
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
from mmvos.deprecation import accept_old_options
from mmvos.io.rle import decode_mask
from mmvos.registry import TRANSFORMS
from mmvos.structures.rle import tight_box

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Vector = NDArray[np.float64]

PASTE_PROB = 0.5  # probability that anything is pasted
MAX_OBJECTS = 2
COPY_PROB = 0.4  # of a mirrored copy of the target instead of an object of the image set
BEFORE_PROB = 0.4  # that a pasted object lies before the target

_SIZES = (0.5, 1.3)  # of a pasted object over the target's, by the root of the areas
_MIN_AREA = 64  # pixels of a target and of an object that is pasted
_MIN_SIDE = 4  # pixels of a patch
_REACH = 1.4  # of its first position around the target, over the target's extent
_STEP = 0.25  # of its motion from frame to frame, over the target's extent
_SHAKE = 0.05  # of its place in each frame, over the target's extent
_TURN = 12  # degrees to each side in each frame
# share of the target that stays visible
_MIN_SHOWN_FIRST = 0.6
_MIN_SHOWN_LATER = 0.3
_MAX_DRAWS = 4  # of a path that leaves enough of the target


@dataclass(frozen=True)
class _Patch:
    """An object cut out of an image: (h, w, 3) BGR and its (h, w) mask in [0, 1]."""

    image: Image
    alpha: NDArray[np.float32]


@TRANSFORMS.register_module()
@accept_old_options(removed=('prob', 'most', 'same', 'over'))
class PasteObjects(BaseTransform):
    """Paste moving objects into the frames of a clip of one object.

    Half of the clips get one or two objects. Draws from numpy's global generator.

    Args:
        ann_file, data_root, data_prefix: of an ``ImageClipDataset``, whose objects are pasted.
    """

    def __init__(
        self, ann_file: str, data_root: str = '', data_prefix: dict[str, str] | None = None
    ) -> None:
        self.objects = ImageClipDataset(ann_file, data_root, data_prefix, lazy_init=True)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` and ``gt_masks``, lists over T; the masks are those of one object."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        if rng.random() >= PASTE_PROB:
            return results
        frames = [image.copy() for image in results['img']]
        masks = []
        for frame_masks in results['gt_masks']:
            masks.append(frame_masks.masks[0].copy())

        # One object after the other, each on a path of its own.
        count = int(rng.integers(1, MAX_OBJECTS + 1))
        for _ in range(count):
            patch = self._draw_patch(rng, frames[0], masks[0])
            if patch is not None:
                frames, masks = _paste(rng, frames, masks, patch)

        results['img'] = frames
        results['gt_masks'] = [BitmapMasks(mask[None], *mask.shape) for mask in masks]
        return results

    def _draw_patch(self, rng: np.random.Generator, frame: Image, mask: Mask) -> _Patch | None:
        """Draw an object to paste, at the target's scale.

        Args:
            rng: draws object and size.
            frame, mask: (H, W, 3) and (H, W), the clip's first frame and the target in it.

        Returns:
            The patch; None where object or target are too small, or the patch would be too large.
        """
        # A look-alike, or an object of the image set.
        if rng.random() < COPY_PROB:
            image: Image | None = frame[:, ::-1]
            shape: Mask = mask[:, ::-1]
        else:
            image, shape = self._read_object(int(rng.integers(len(self.objects))))
        area = int(shape.sum())
        target_area = int(mask.sum())
        if image is None or area < _MIN_AREA or target_area < _MIN_AREA:
            return None

        # Its size, so that the areas compare as drawn.
        box = tight_box(shape)
        assert box is not None
        x1, y1, x2, y2 = box
        factor = rng.uniform(*_SIZES) * np.sqrt(target_area / area)
        width = max(round((x2 - x1) * factor), _MIN_SIDE)
        height = max(round((y2 - y1) * factor), _MIN_SIDE)
        if max(width, height) > 2 * max(frame.shape):
            return None

        # Image and mask are cut out and resized alike.
        part = np.ascontiguousarray(image[y1:y2, x1:x2])
        alpha = np.ascontiguousarray(shape[y1:y2, x1:x2]).astype(np.float32)
        interpolation = cv2.INTER_AREA if factor < 0.7 else cv2.INTER_LINEAR
        size = (width, height)
        small = cv2.resize(part, size, interpolation=interpolation)
        small_alpha = cv2.resize(alpha, size, interpolation=interpolation)
        return _Patch(np.asarray(small, np.uint8), np.asarray(small_alpha, np.float32))

    def _read_object(self, index: int) -> tuple[Image | None, Mask]:
        """Image (None where it cannot be decoded) and mask of an object of the image set."""
        record = self.objects.get_data_info(index)
        path = record['img_path']
        image: Any = cv2.imread(path)
        mask = decode_mask(
            record['segmentation'],
            record['height'],
            record['width'],
            f'{path}: annotation {record["annotation"]}',
        )
        return image, mask

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ann_file={self.objects.ann_file!r})'


def _paste(
    rng: np.random.Generator, frames: list[Image], masks: list[Mask], patch: _Patch
) -> tuple[list[Image], list[Mask]]:
    """Frames and masks with the object on a path of its own; as given if it hides too much."""
    is_before = rng.random() < BEFORE_PROB
    x1, y1, x2, y2 = tight_box(masks[0]) or (0, 0, 0, 0)
    extent = max(x2 - x1, y2 - y1)
    target_center = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    for _ in range(_MAX_DRAWS):
        # A straight path: where the object is first, and its step from frame to frame.
        start = target_center + rng.uniform(-_REACH, _REACH, 2) * extent
        step = rng.uniform(-_STEP, _STEP, 2) * extent
        pasted = []
        visible = []
        for index, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
            # In each frame a little off the path, and turned.
            shake = rng.uniform(-_SHAKE, _SHAKE, 2) * extent
            center = start + index * step + shake
            degrees = rng.uniform(-_TURN, _TURN)
            placed = _place(patch, center, degrees, mask.shape)
            image, left = _blend(frame, mask, placed, is_before)
            pasted.append(image)
            visible.append(left)
        if _keeps_enough(masks, visible):
            return pasted, visible
    return frames, masks


def _place(patch: _Patch, center: Vector, degrees: float, shape: tuple[int, ...]) -> _Patch:
    """The patch turned around its middle and put into an empty frame of H x W."""
    height, width = shape
    h, w = patch.alpha.shape
    middle = (w / 2, h / 2)

    # (2, 3): from the patch to the frame
    matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    matrix = np.asarray(matrix, np.float64)
    matrix[:, 2] = matrix[:, 2] + center - middle
    size = (width, height)
    image = cv2.warpAffine(patch.image, matrix, size, flags=cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(patch.alpha, matrix, size, flags=cv2.INTER_LINEAR)
    return _Patch(np.asarray(image, np.uint8), np.asarray(alpha, np.float32))


def _blend(frame: Image, mask: Mask, placed: _Patch, is_before: bool) -> tuple[Image, Mask]:
    """The frame with the patch before or behind the target, and what is left of the target."""
    alpha = placed.alpha
    if is_before:
        # What is covered by more than half is hidden.
        visible = mask * (alpha < 0.5).astype(np.uint8)
    else:
        # The target's own edge stays soft against what lies behind it.
        target = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)
        alpha = alpha * (1 - np.asarray(target, np.float32))
        visible = mask
    difference = placed.image.astype(np.float32) - frame
    mixed = frame + difference * alpha[..., None]
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8), visible


def _keeps_enough(masks: list[Mask], visible: list[Mask]) -> bool:
    """Whether enough of the target is visible in each frame, and some of it in the first."""
    for index, (mask, left) in enumerate(zip(masks, visible, strict=True)):
        min_share = _MIN_SHOWN_LATER if index else _MIN_SHOWN_FIRST
        area = int(mask.sum())
        if int(left.sum()) < min_share * area:
            return False
    return bool(visible[0].any())
