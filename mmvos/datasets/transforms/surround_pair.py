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
        index = int(rng.integers(len(self.images)))
        record = self.images.get_data_info(index)
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
            # Only the second frame's object may come without its surroundings.
            is_alone = is_cut and t == 1
            canvas, shape = _surround(rng, images[t], mask, behind, is_alone)
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
    small_width = max(round(width * factor), 1)
    small_height = max(round(height * factor), 1)
    small_size = (small_width, small_height)
    small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA)
    small_mask = cv2.resize(mask, small_size, interpolation=cv2.INTER_AREA)

    # The other image covers the canvas.
    canvas_side = round(CANVAS_OVER_TEMPLATE * side * factor)
    canvas = _draw_canvas(rng, behind, canvas_side)

    # From the frame to the canvas, the object's middle to the canvas' middle.
    x = canvas_side // 2 - round((x1 + x2) / 2 * factor)
    y = canvas_side // 2 - round((y1 + y2) / 2 * factor)
    x_start = max(x, 0)
    x_end = min(x + small_width, canvas_side)
    y_start = max(y, 0)
    y_end = min(y + small_height, canvas_side)
    inside = np.s_[y_start:y_end, x_start:x_end]
    seen = np.s_[y_start - y : y_end - y, x_start - x : x_end - x]

    shape = np.zeros((canvas_side, canvas_side), np.uint8)
    shape[inside] = small_mask[seen]
    if is_cut:
        # The object's edge is soft.
        edge = small_mask[seen].astype(np.float32)
        alpha = cv2.GaussianBlur(edge, (3, 3), 0)[..., None]
        below = canvas[inside]
        difference = small[seen].astype(np.float32) - below
        mixed = below + difference * alpha
        canvas[inside] = np.rint(mixed).astype(np.uint8)
    else:
        canvas[inside] = small[seen]
    return canvas, shape


def _draw_canvas(rng: np.random.Generator, image: Image, side: int) -> Image:
    """Draw a square part of an image, as large as fits, and resize it to (side, side, 3)."""
    height, width = image.shape[:2]
    part_side = min(height, width)
    top = int(rng.integers(height - part_side + 1))
    left = int(rng.integers(width - part_side + 1))
    part = image[top : top + part_side, left : left + part_side]
    canvas = cv2.resize(part, (side, side))
    return np.asarray(canvas, np.uint8)
