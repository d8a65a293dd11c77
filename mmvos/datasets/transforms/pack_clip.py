"""Packing a clip with its guides."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmdet.datasets.transforms import PackTrackInputs

from mmvos.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackClip(PackTrackInputs):
    """``PackTrackInputs`` with ``gt_guides`` and ``gt_guide_kinds``, for clips of T frames of the
    same size with K objects.

    Returns dict(inputs=(T, 3, H, W) uint8 BGR, data_samples=TrackDataSample); ``gt_instances`` of
    each of its T samples have ``masks`` (BitmapMasks), ``guides`` (K, H, W) float32,
    ``guide_kinds`` (K,) int64 and ``instances_ids`` (K,) int64. Float images, which some of mmdet's
    transforms make, are rounded and cut to 0..255.
    """

    mapping_table = PackTrackInputs.mapping_table | dict(
        gt_guides='guides', gt_guide_kinds='guide_kinds', gt_clicks='clicks'
    )

    def __init__(self) -> None:
        super().__init__(
            default_meta_keys=(
                'img_id',
                'img_path',
                'ori_shape',
                'img_shape',
                'flip',
                'frame_id',
                'video_id',
            )
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack a clip; see the class."""
        return super().transform(results | dict(img=[_as_bytes(image) for image in results['img']]))


def _as_bytes(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else np.clip(np.rint(image), 0, 255).astype(np.uint8)
