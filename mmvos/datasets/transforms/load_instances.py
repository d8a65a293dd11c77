"""Loading the objects of a frame: mmdet's ``LoadTrackAnnotations`` with masks that are quick to
resize and flip, and decoded where they are read.
"""

from __future__ import annotations

from typing import Any

from mmdet.datasets.transforms import LoadTrackAnnotations
from pycocotools import mask as coco_mask

from mmvos.registry import TRANSFORMS

from ..bitmap_masks import PostponedMasks


@TRANSFORMS.register_module()
class LoadInstances(LoadTrackAnnotations):
    """Load boxes, labels, ids and masks of a frame's ``instances``.

    ``gt_masks`` are ``PostponedMasks``, which have the pixels of mmdet's ``BitmapMasks``.
    """

    def __init__(self) -> None:
        super().__init__(with_mask=True)

    def _load_masks(self, results: dict[str, Any]) -> None:
        """Keep the run lengths, at the size of the frame."""
        height, width = results['ori_shape']
        run_lengths = []
        for mask in self._process_masks(results):
            run_lengths.append(_run_lengths(mask, height, width))
        results['gt_masks'] = PostponedMasks(run_lengths, height, width)


def _run_lengths(mask: Any, height: int, width: int) -> dict[str, Any]:
    """Return polygons or counts as pycocotools decodes them; as mmdet's ``_poly2mask``."""
    if isinstance(mask, list):
        parts = coco_mask.frPyObjects(mask, height, width)
        joined: dict[str, Any] = coco_mask.merge(parts)
        return joined
    if isinstance(mask['counts'], list):
        compressed: dict[str, Any] = coco_mask.frPyObjects(mask, height, width)
        return compressed
    return dict(mask)
