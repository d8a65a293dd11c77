"""Packing a clip with its guides."""
from __future__ import annotations

from mmdet.datasets.transforms import PackTrackInputs

from mmvos.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackClip(PackTrackInputs):
    """``PackTrackInputs`` with ``gt_guides`` and ``gt_guide_kinds``, for clips of T frames of the same size with K objects.

    Returns dict(inputs=(T, 3, H, W) uint8 BGR, data_samples=TrackDataSample); ``gt_instances`` of each of its T samples have
    ``masks`` (BitmapMasks), ``guides`` (K, H, W) float32, ``guide_kinds`` (K,) int64 and ``instances_ids`` (K,) int64.
    """

    mapping_table = PackTrackInputs.mapping_table | dict(gt_guides='guides', gt_guide_kinds='guide_kinds')

    def __init__(self) -> None:
        super().__init__(default_meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'flip', 'frame_id', 'video_id'))
