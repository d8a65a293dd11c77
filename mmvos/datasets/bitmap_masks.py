"""Mmdet's bitmaps of the masks of a frame, with the same pixels in less time.

mmdet's ``BitmapMasks`` keeps the order in which pycocotools writes run lengths, column by column,
through every step, and copies what it does not change. ``FrameMasks`` does not; ``PostponedMasks``
decode nothing before somebody reads a pixel. N masks of H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmcv.ops import roi_align
from mmdet.structures.mask import BitmapMasks
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

# OpenCV's numbers of mmdet's directions.
FLIP_CODES = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}


class FrameMasks(BitmapMasks):
    """Bitmaps (N, H, W) uint8, row by row; see mmdet's ``BitmapMasks``.

    What is not defined here gives mmdet's ``BitmapMasks``.
    """

    masks: NDArray[np.uint8]
    height: int
    width: int

    def __getitem__(self, index: Any) -> FrameMasks:
        """Return the masks of an index."""
        chosen = self.masks[index].reshape(-1, self.height, self.width)
        return FrameMasks(chosen, self.height, self.width)

    def rescale(self, scale: Any, interpolation: str = 'nearest') -> FrameMasks:
        """Resize to the largest size of the same shape within a scale, as ``mmcv.imrescale``."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str = 'nearest') -> FrameMasks:
        """Resize to (h, w); masks that have this size are not copied."""
        height, width = out_shape
        if (height, width) == (self.height, self.width):
            return self
        resized = np.empty((len(self), height, width), dtype=np.uint8)
        for mask, target in zip(self.masks, resized):
            mmcv.imresize(mask, (width, height), interpolation=interpolation, out=target)
        return FrameMasks(resized, height, width)

    def flip(self, flip_direction: str = 'horizontal') -> FrameMasks:
        """Flip to a direction of ``FLIP_CODES``."""
        code = FLIP_CODES[flip_direction]
        flipped = np.empty_like(self.masks)
        for mask, target in zip(self.masks, flipped):
            cv2.flip(mask, code, dst=target)
        return FrameMasks(flipped, self.height, self.width)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> FrameMasks:
        """Pad to (h, w) at the bottom and on the right."""
        height, width = out_shape
        if (height, width) == (self.height, self.width):
            return self
        padded = np.full((len(self), height, width), pad_val, dtype=np.uint8)
        padded[:, : self.height, : self.width] = self.masks
        return FrameMasks(padded, height, width)

    def crop_and_resize(
        self,
        bboxes: Any,
        out_shape: tuple[int, int],
        inds: Any,
        device: Any = 'cpu',
        interpolation: str = 'bilinear',
        binarize: bool = True,
    ) -> BitmapMasks:
        """Sample the masks of R boxes, as the targets of a mask head.

        mmdet makes R float copies of whole masks; here the boxes share N.

        Args:
            bboxes: (R, 4) xyxy.
            out_shape: (h, w) of a result.
            inds: (R,), which mask belongs to a box.
            device: of the computation.
            interpolation: without meaning, as in mmdet.
            binarize: results are bool, true from 0.5 on.
        """
        if len(self) == 0 or len(bboxes) == 0:
            return super().crop_and_resize(bboxes, out_shape, inds, device, interpolation, binarize)
        boxes = _tensor(bboxes).to(device)
        numbers = _tensor(inds).to(boxes)

        # (R, 5): the place of the mask, and the box
        regions = torch.cat([numbers[:, None], boxes], dim=1)
        masks = torch.from_numpy(self.masks).to(device).to(boxes.dtype)
        sampled = roi_align(masks[:, None], regions, out_shape, 1.0, 0, 'avg', True)[:, 0]
        if binarize:
            sampled = sampled >= 0.5
        return BitmapMasks(sampled.cpu().numpy(), *out_shape)


class PostponedMasks(FrameMasks):
    """``FrameMasks`` whose run lengths are decoded, resized and flipped when they are first read.

    The reference frame of a pair has masks that no loss reads.

    Args:
        run_lengths: N, as pycocotools takes them.
        height, width: of the frame that they belong to, H and W.
    """

    def __init__(self, run_lengths: Sequence[dict[str, Any]], height: int, width: int) -> None:
        self.height = height
        self.width = width
        self._run_lengths = list(run_lengths)
        self._decoded_size = (height, width)
        # What has been asked for: method of ``FrameMasks`` and its arguments.
        self._steps: tuple[tuple[str, tuple[Any, ...]], ...] = ()
        self._read: FrameMasks | None = None

    @property
    def masks(self) -> NDArray[np.uint8]:  # type: ignore[override]
        """The pixels (N, H, W)."""
        return self.read().masks

    def read(self) -> FrameMasks:
        """Return the masks, decoded."""
        if self._read is None:
            height, width = self._decoded_size
            pixels = np.empty((len(self), height, width), dtype=np.uint8)
            for mask, target in zip(self._run_lengths, pixels):
                # pycocotools decodes column by column: its transpose lies row by row
                cv2.transpose(coco_mask.decode(mask).T, dst=target)
            masks = FrameMasks(pixels, height, width)
            for name, arguments in self._steps:
                masks = getattr(masks, name)(*arguments)
            self._read = masks
        return self._read

    def __len__(self) -> int:
        return len(self._run_lengths)

    def __getitem__(self, index: Any) -> PostponedMasks:
        """Return the masks of an index."""
        chosen = np.arange(len(self))[index].reshape(-1)
        return self._with([self._run_lengths[i] for i in chosen], self._steps)

    def resize(self, out_shape: tuple[int, int], interpolation: str = 'nearest') -> PostponedMasks:
        """See ``FrameMasks``."""
        return self._after('resize', out_shape, interpolation)

    def flip(self, flip_direction: str = 'horizontal') -> PostponedMasks:
        """See ``FrameMasks``."""
        return self._after('flip', flip_direction)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> PostponedMasks:
        """See ``FrameMasks``."""
        return self._after('pad', out_shape, pad_val)

    def _after(self, name: str, *arguments: Any) -> PostponedMasks:
        """Return the masks after one more step; only flipping keeps their size."""
        after = self._with(self._run_lengths, (*self._steps, (name, arguments)))
        if name != 'flip':
            after.height, after.width = map(int, arguments[0])
        return after

    def _with(self, run_lengths: list[dict[str, Any]], steps: tuple[Any, ...]) -> PostponedMasks:
        """Return masks of the same size with other run lengths or steps."""
        other = type(self)(run_lengths, *self._decoded_size)
        other._steps = steps
        other.height = self.height
        other.width = self.width
        return other


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(values) if isinstance(values, np.ndarray) else values
