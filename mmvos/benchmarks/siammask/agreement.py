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
    """Return the mean IoU of the masks of all objects in all frames but the first.

    Args:
        exact: results of a video's frames, in float32.
        reduced: results of the same frames with the same objects.

    Returns:
        In [0, 1]; of two empty masks the IoU is 1.
    """
    overlaps = []
    for one, other in zip(exact[1:], reduced[1:], strict=True):
        assert [item.id for item in one.objects] == [item.id for item in other.objects]
        for item, counterpart in zip(one.objects, other.objects, strict=True):
            # pycocotools takes counts in bytes
            first = {**item.mask, 'counts': item.mask['counts'].encode()}
            second = {**counterpart.mask, 'counts': counterpart.mask['counts'].encode()}
            both_empty = coco_mask.area(first) == coco_mask.area(second) == 0
            if both_empty:
                overlaps.append(1.0)
            else:
                iou = coco_mask.iou([first], [second], [0])
                overlaps.append(float(iou[0, 0]))
    return float(np.mean(overlaps))


def davis_videos(root: Path, frames: int) -> list[tuple[list[Path], dict[int, Prompts]]]:
    """Find the first frames of the validation sequences of DAVIS-2016.

    Args:
        root: with ``JPEGImages``, ``Annotations`` and ``ImageSets``.
        frames: of each sequence.

    Returns:
        Of each sequence with at least two frames: their files, and the box around the object in
        frame 0.
    """
    videos = []
    names = (root / 'ImageSets/2016/val.txt').read_text().split()
    for name in names:
        pictures = sorted((root / 'JPEGImages/480p' / name).glob('*.jpg'))[:frames]
        if len(pictures) < 2:
            continue
        # The box around all objects of the first frame.
        label_path = root / 'Annotations/480p' / name / f'{pictures[0].stem}.png'
        labels = cv2.imread(str(label_path), cv2.IMREAD_GRAYSCALE)
        assert labels is not None, f'{name} has no annotation of its first frame'
        is_object = (labels > 0).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(is_object)
        box = (x, y, x + width, y + height)
        prompts = Prompts(ids=(1,), masks=(None,), boxes=(box,))
        videos.append((pictures, {0: prompts}))
    return videos
