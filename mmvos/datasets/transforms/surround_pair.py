"""SurroundPair: objects of still images get surroundings as large as a siamese tracker sees.

Still images of salient objects end close to their object, while a search window is four times as
wide as it (Wang et al., CVPR 2019). Filled with one color, the window gives the object's place
away: it is where the picture is. Here the rest of another image fills it, or the object alone is
put into that image.

H x W pixels of a frame, n x n of the canvas it becomes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks
from numpy.typing import NDArray

from mmvos.datasets.image_clips import ImageClipDataset
from mmvos.ops.siamese_geometry import context_side
from mmvos.registry import TRANSFORMS
from mmvos.structures.rle import tight_box

Image = NDArray[np.uint8]

CUT_PROB = 0.4  # that the search frame shows the object alone before another image
# Canvas and largest template window in canvas pixels: search windows are twice as wide as that
# one, and are moved, stretched and turned.
CANVAS_OVER_TEMPLATE = 4
MAX_TEMPLATE = 127


@TRANSFORMS.register_module()
class SurroundPair(BaseTransform):
    """Put both frames of a pair before another image, the object in the middle.

    Frames become smaller where their object is larger than ``MAX_TEMPLATE`` asks for. Frames
    without a known mask stay as they are. Draws from numpy's global generator.

    Args:
        ann_file, data_root, data_prefix: of an ``ImageClipDataset``, whose images are put behind.
    """

    def __init__(
        self, ann_file: str, data_root: str = '', data_prefix: dict[str, str] | None = None
    ) -> None:
        self.images = ImageClipDataset(ann_file, data_root, data_prefix, lazy_init=True)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``, ``gt_masks`` and ``gt_bboxes`` ((1, 4) float32), lists of two."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        record = self.images.get_data_info(int(rng.integers(len(self.images))))
        behind: Any = cv2.imread(record['img_path'])
        if behind is None:
            return results
        is_cut = rng.random() < CUT_PROB
        images = list(results['img'])
        masks = list(results['gt_masks'])
        boxes = list(results['gt_bboxes'])
        for t in range(2):
            mask = masks[t].masks[0]
            if not mask.any():
                continue
            canvas, shape = _surround(rng, images[t], mask, behind, is_cut and t == 1)
            box = tight_box(shape)
            if box is None:
                continue
            images[t] = canvas
            masks[t] = BitmapMasks(shape[None], *shape.shape)
            boxes[t] = np.array([box], dtype=np.float32)
        return dict(results, img=images, gt_masks=masks, gt_bboxes=boxes)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ann_file={self.images.ann_file!r})'


def _surround(
    rng: np.random.Generator, image: Image, mask: Image, behind: Image, is_cut: bool
) -> tuple[Image, Image]:
    """Put an image, or its object alone, into the middle of another one.

    Args:
        rng: draws which part of the other image is seen.
        image, mask: (H, W, 3) and (H, W) in {0, 1}, not empty.
        behind: the other image, of any size.
        is_cut: whether the object alone is put there.

    Returns:
        (n, n, 3) and (n, n).
    """
    # The object's template window, and the frame in the size in which that is small enough.
    x1, y1, x2, y2 = tight_box(mask) or (0, 0, 1, 1)
    side = context_side(x2 - x1, y2 - y1)
    factor = min(MAX_TEMPLATE / side, 1.0)
    height, width = mask.shape
    small_size = (max(round(width * factor), 1), max(round(height * factor), 1))
    small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA)
    small_mask = cv2.resize(mask, small_size, interpolation=cv2.INTER_AREA)

    # The other image covers the canvas: a square part of it, enlarged.
    canvas_side = round(CANVAS_OVER_TEMPLATE * side * factor)
    part_side = min(behind.shape[:2])
    top = int(rng.integers(behind.shape[0] - part_side + 1))
    left = int(rng.integers(behind.shape[1] - part_side + 1))
    part = behind[top : top + part_side, left : left + part_side]
    canvas = np.asarray(cv2.resize(part, (canvas_side, canvas_side)), np.uint8)

    # From the frame to the canvas, the object's middle to the canvas' middle.
    x = canvas_side // 2 - round((x1 + x2) / 2 * factor)
    y = canvas_side // 2 - round((y1 + y2) / 2 * factor)
    x_start, x_end = max(x, 0), min(x + small_size[0], canvas_side)
    y_start, y_end = max(y, 0), min(y + small_size[1], canvas_side)
    inside = np.s_[y_start:y_end, x_start:x_end]
    seen = np.s_[y_start - y : y_end - y, x_start - x : x_end - x]

    shape = np.zeros((canvas_side, canvas_side), np.uint8)
    shape[inside] = small_mask[seen]
    if is_cut:
        # The object's edge is soft.
        alpha = cv2.GaussianBlur(small_mask[seen].astype(np.float32), (3, 3), 0)[..., None]
        mixed = canvas[inside] + (small[seen].astype(np.float32) - canvas[inside]) * alpha
        canvas[inside] = np.rint(mixed).astype(np.uint8)
    else:
        canvas[inside] = small[seen]
    return canvas, shape
