"""How well the masks of a reduced precision, or of a compiled model, agree with the float32 ones:
each follows its own state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmvos.structures import FrameResult, Prompts


def mean_overlap(exact: Sequence[FrameResult], reduced: Sequence[FrameResult]) -> float:
    """Mean IoU of the masks of all objects in all frames but the first; of two empty masks it is
    1.
    """
    overlaps = []
    for one, other in zip(exact[1:], reduced[1:], strict=True):
        assert [item.id for item in one.objects] == [item.id for item in other.objects]
        for mine, its in zip(one.objects, other.objects, strict=True):
            first, second = (
                {**item.mask, 'counts': item.mask['counts'].encode()} for item in (mine, its)
            )
            empty = coco_mask.area(first) == coco_mask.area(second) == 0
            overlaps.append(1.0 if empty else float(coco_mask.iou([first], [second], [0])[0, 0]))
    return float(np.mean(overlaps))


def davis_videos(root: Path, frames: int) -> list[tuple[list[Path], dict[int, Prompts]]]:
    """The first frames of the validation sequences of DAVIS-2016, with the box around the object in
    frame 0.

    Args:
        root: with ``JPEGImages``, ``Annotations`` and ``ImageSets``.
        frames: of each sequence.
    """
    videos = []
    for name in (root / 'ImageSets/2016/val.txt').read_text().split():
        pictures = sorted((root / 'JPEGImages/480p' / name).glob('*.jpg'))[:frames]
        if len(pictures) < 2:
            continue
        labels = cv2.imread(
            str(root / 'Annotations/480p' / name / f'{pictures[0].stem}.png'), cv2.IMREAD_GRAYSCALE
        )
        assert labels is not None, f'{name} has no annotation of its first frame'
        x, y, w, h = cv2.boundingRect((labels > 0).astype(np.uint8))
        videos.append((pictures, {0: Prompts((1,), (None,), ((x, y, x + w, y + h),))}))
    return videos
