"""Boxes, RoIs and suppression as in mmdet 0.5, for the published MaskTrack R-CNN only (``masktrack-rcnn_r50_fpn_official.py``).

A box then ended at the middle of its last pixel, so that its width was x2 - x1 + 1. R regions, S x S the output, C classes.
"""
from __future__ import annotations

from typing import Any

import torch
from mmdet.models.layers import multiclass_nms
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.models.task_modules.coders import LegacyDeltaXYWHBBoxCoder
from mmengine.structures import InstanceData
from torch import Tensor

from mmvos.registry import MODELS, TASK_UTILS


@TASK_UTILS.register_module()
class LegacyBoxCoder(LegacyDeltaXYWHBBoxCoder):
    """mmdet's coder with inclusive decoding: mmdet 3 leaves out the half pixels, as its comment says, so a box grows by one.

    Args:
        See mmdet's ``LegacyDeltaXYWHBBoxCoder``.
    """

    def decode(self, bboxes: Tensor, pred_bboxes: Tensor, max_shape: tuple[int, int] | None = None,
               wh_ratio_clip: float = 16 / 1000) -> Tensor:
        """Boxes (N, 4) of deltas (N, 4), clipped to the middles of the first and last pixels of ``max_shape`` (height, width)."""
        boxes: Tensor = super().decode(bboxes, pred_bboxes, None, wh_ratio_clip)
        boxes = boxes + boxes.new_tensor([0.5, 0.5, -0.5, -0.5])
        if max_shape is not None:
            height, width = max_shape[:2]
            boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width - 1, height - 1, width - 1, height - 1]))
        return boxes


@MODELS.register_module()
class LegacyRoIExtractor(SingleRoIExtractor):
    """RoIAlign over [x1, x2 + 1], cells counted from the middle of the first pixel, levels by inclusive sizes.

    Args:
        See mmdet's ``SingleRoIExtractor``; the layer is an aligned RoIAlign, whose half cell of offset is taken back here.
    """

    def map_roi_levels(self, rois: Tensor, num_levels: int) -> Tensor:
        """Level of each region (R, 5)."""
        levels: Tensor = super().map_roi_levels(rois + rois.new_tensor([0, 0, 0, 1, 1]), num_levels)
        return levels

    def forward(self, feats: tuple[Tensor, ...], rois: Tensor, roi_scale_factor: float | None = None) -> Tensor:
        """(R, C, S, S) features of the regions (R, 5), image index and box xyxy in network pixels."""
        assert roi_scale_factor is None
        size = self.roi_layers[0].output_size
        found = feats[0].new_zeros(len(rois), self.out_channels, *size)
        levels = self.map_roi_levels(rois, len(feats))
        for level, (layer, features) in enumerate(zip(self.roi_layers, feats)):
            place = (levels == level).nonzero()[:, 0]
            if len(place):
                half = 0.5 / layer.spatial_scale
                moved = rois[place] + rois.new_tensor([0, half, half, half + 1, half + 1])
                found = found.index_copy(0, place, layer(features.contiguous(), moved.to(features.dtype)))
        return found


@MODELS.register_module()
class LegacyBBoxHead(Shared2FCBBoxHead):
    """The box head whose suppression of overlapping boxes sees original pixels, as the inclusive widths depend on the scale.

    Args:
        See mmdet's ``Shared2FCBBoxHead``.
    """

    def _predict_by_feat_single(self, roi: Tensor, cls_score: Tensor, bbox_pred: Tensor, img_meta: dict[str, Any],
                                rescale: bool = False, rcnn_test_cfg: Any = None) -> InstanceData:
        """Detections of one image in network pixels: ``bboxes`` (N, 4), ``scores``, ``labels``."""
        if not len(roi) or rcnn_test_cfg is None:
            return super()._predict_by_feat_single(roi, cls_score, bbox_pred, img_meta, rescale, rcnn_test_cfg)
        # Without a test config mmdet decodes the boxes but does not suppress any.
        decoded = super()._predict_by_feat_single(roi, cls_score, bbox_pred, img_meta, True, None)
        boxes, labels = multiclass_nms(decoded.bboxes, decoded.scores, rcnn_test_cfg.score_thr, rcnn_test_cfg.nms,
                                       rcnn_test_cfg.max_per_img)
        scale = torch.tensor(img_meta['scale_factor'], device=boxes.device).repeat(2) if not rescale else 1.0
        return InstanceData(bboxes=boxes[:, :4] * scale, scores=boxes[:, 4], labels=labels)
