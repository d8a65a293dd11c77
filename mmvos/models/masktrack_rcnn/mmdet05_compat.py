"""Boxes, RoIs, suppression and masks as in mmdet 0.5, for the published MaskTrack R-CNN only
(``masktrack-rcnn_r50_fpn_official.py``).

A box then ended at the middle of its last pixel, so that its width was x2 - x1 + 1; such boxes are
called inclusive here. The scale of a frame was one number (``ScalarResize``). R regions, S x S the
output, C classes, N boxes, H x W the original frame.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from mmcv.ops import nms
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.models.task_modules.coders import LegacyDeltaXYWHBBoxCoder
from mmengine.structures import InstanceData
from torch import Tensor

from mmvos.registry import MODELS, TASK_UTILS
from mmvos.structures.rle import RLE, encode_crop


@TASK_UTILS.register_module()
class LegacyBoxCoder(LegacyDeltaXYWHBBoxCoder):
    """mmdet's coder with inclusive decoding: mmdet 3 leaves out the half pixels, as its comment
    says, so a box grows by one.

    Args:
        See mmdet's ``LegacyDeltaXYWHBBoxCoder``.
    """

    def decode(
        self,
        bboxes: Tensor,
        pred_bboxes: Tensor,
        max_shape: tuple[int, int] | None = None,
        wh_ratio_clip: float = 16 / 1000,
    ) -> Tensor:
        """Boxes (N, 4) of deltas (N, 4), clipped to the middles of the first and last pixels of
        ``max_shape`` (height, width).
        """
        boxes: Tensor = super().decode(bboxes, pred_bboxes, None, wh_ratio_clip)

        # take back the half pixels
        boxes = boxes + boxes.new_tensor([0.5, 0.5, -0.5, -0.5])
        if max_shape is None:
            return boxes

        # clip to the middles of the outer pixels
        height, width = max_shape[:2]
        right = width - 1
        bottom = height - 1
        boxes = boxes.clamp(min=0)
        return boxes.minimum(boxes.new_tensor([right, bottom, right, bottom]))


@MODELS.register_module()
class LegacyRoIExtractor(SingleRoIExtractor):
    """RoIAlign over [x1, x2 + 1], cells counted from the middle of the first pixel, levels by
    inclusive sizes.

    Args:
        See mmdet's ``SingleRoIExtractor``; the layer is an aligned RoIAlign, whose half cell of
        offset is taken back here.
    """

    def map_roi_levels(self, rois: Tensor, num_levels: int) -> Tensor:
        """Level of each region (R, 5)."""
        continuous = rois + rois.new_tensor([0, 0, 0, 1, 1])
        levels: Tensor = super().map_roi_levels(continuous, num_levels)
        return levels

    def forward(
        self, feats: tuple[Tensor, ...], rois: Tensor, roi_scale_factor: float | None = None
    ) -> Tensor:
        """(R, C, S, S) features of the regions (R, 5), image index and box xyxy in network
        pixels.
        """
        assert roi_scale_factor is None
        size = self.roi_layers[0].output_size
        found = feats[0].new_zeros(len(rois), self.out_channels, *size)
        levels = self.map_roi_levels(rois, len(feats))
        for level, (layer, features) in enumerate(zip(self.roi_layers, feats)):
            place = (levels == level).nonzero()[:, 0]
            if len(place) == 0:
                continue

            # The layer's aligned cells begin half a cell earlier.
            half = 0.5 / layer.spatial_scale
            shift = rois.new_tensor([0, half, half, half + 1, half + 1])
            moved = rois[place] + shift

            # (r, C, S, S) of the regions of this level
            sampled = layer(features.contiguous(), moved.to(features.dtype))
            found = found.index_copy(0, place, sampled)
        return found


@MODELS.register_module()
class LegacyBBoxHead(Shared2FCBBoxHead):
    """The box head whose suppression of overlapping boxes sees original pixels, as the inclusive
    widths depend on the scale.

    Args:
        See mmdet's ``Shared2FCBBoxHead``.
    """

    def _predict_by_feat_single(
        self,
        roi: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        img_meta: dict[str, Any],
        rescale: bool = False,
        rcnn_test_cfg: Any = None,
    ) -> InstanceData:
        """Detections of one image in network pixels: ``bboxes`` (N, 4), ``scores``, ``labels``."""
        if not len(roi) or rcnn_test_cfg is None:
            return super()._predict_by_feat_single(
                roi, cls_score, bbox_pred, img_meta, rescale, rcnn_test_cfg
            )

        # Without a test config mmdet decodes the boxes but does not suppress any.
        decoded = super()._predict_by_feat_single(roi, cls_score, bbox_pred, img_meta, True, None)
        classes = decoded.scores.shape[1] - 1

        # (N,): class and region of each score that is high enough, class by class
        by_class = decoded.scores[:, :classes].T
        is_high = by_class > rcnn_test_cfg.score_thr
        labels, regions = is_high.nonzero().unbind(dim=1)
        scores = decoded.scores[regions, labels]

        # (R, C, 4) -> (N, 4): boxes in original pixels, one for all classes or one for each
        class_boxes = decoded.bboxes.view(len(roi), -1, 4)
        class_boxes = class_boxes.expand(-1, classes, -1)
        boxes = class_boxes[regions, labels]

        # Suppress overlapping boxes of a class, and keep the best.
        kept = separate_nms(boxes, scores, labels, rcnn_test_cfg.nms.iou_threshold)
        if len(kept) > rcnn_test_cfg.max_per_img:
            best = _best(scores[kept], rcnn_test_cfg.max_per_img)
            kept = kept[best]
        boxes = boxes[kept]
        if not rescale:
            scale = torch.tensor(img_meta['scale_factor'], device=boxes.device)
            boxes = boxes * scale.repeat(2)
        return InstanceData(bboxes=boxes, scores=scores[kept], labels=labels[kept])


@MODELS.register_module()
class LegacyRPNHead(RPNHead):
    """The RPN whose levels are suppressed one by one, not by shifting them apart, which rounds the
    coordinates.

    No proposal is too small for it.

    Args:
        See mmdet's ``RPNHead``.
    """

    def _bbox_post_process(
        self,
        results: InstanceData,
        cfg: Any,
        rescale: bool = False,
        with_nms: bool = True,
        img_meta: dict[str, Any] | None = None,
    ) -> InstanceData:
        """Proposals of one image by falling score: ``bboxes``, ``scores``, ``labels``."""
        assert with_nms and not rescale

        # Suppress overlapping boxes of a level, and keep the best.
        kept = separate_nms(
            results.bboxes,
            results.scores,
            results.level_ids,
            cfg.nms.iou_threshold,
        )
        results = results[kept]
        best = _best(results.scores, cfg.max_per_img)
        results = results[best]
        return InstanceData(
            bboxes=results.bboxes,
            scores=results.scores,
            labels=torch.zeros_like(results.level_ids),
        )


def _best(scores: Tensor, count: int) -> Tensor:
    """The indices of the highest of scores (N,), at most so many; of equal ones the first."""
    _, order = scores.sort(descending=True, stable=True)
    return order[:count]


def separate_nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """Suppression of overlapping boxes within each group.

    Args:
        boxes: (N, 4) inclusive.
        scores: (N,).
        groups: (N,) int64, classes or levels.
        threshold: inclusive overlap above which the lower score goes.

    Returns:
        Indices of the boxes that are left: by rising group, within it by falling score.
    """
    kept = [groups[:0]]
    for group in groups.unique().tolist():
        members = (groups == group).nonzero()[:, 0]

        # indices among the members; the offset makes the overlap inclusive
        _, chosen = nms(boxes[members], scores[members], threshold, offset=1)
        kept.append(members[chosen])
    return torch.cat(kept)


def continuous_boxes(boxes: Tensor) -> Tensor:
    """Inclusive boxes (N, 4) as those that end at the far edges of their last pixels; their overlap
    is the inclusive one.
    """
    return boxes + boxes.new_tensor([0, 0, 1, 1])


def legacy_paste(mask: Tensor, box: Tensor, shape: tuple[int, int], threshold: float) -> RLE:
    """The mask of one box in the frame: resampled to the box's whole pixels, those that the corners
    truncated to ints span.

    Args:
        mask: (S, S) probabilities.
        box: (4,) inclusive, original pixels.
        shape: (H, W).
        threshold: a pixel is the object's above it, not at it.
    """
    # the box's whole pixels
    x1, y1, x2, y2 = (int(value) for value in box.tolist())
    box_width = max(x2 - x1 + 1, 1)
    box_height = max(y2 - y1 + 1, 1)

    # (box_height, box_width): the mask in these pixels
    probabilities = mask.numpy().astype(np.float32)
    resized = cv2.resize(
        probabilities,
        (box_width, box_height),
        interpolation=cv2.INTER_LINEAR,
    )
    pixels = resized > threshold

    # what of them lies in the frame
    height, width = shape
    left = max(x1, 0)
    top = max(y1, 0)
    rows = slice(top - y1, height - y1)
    columns = slice(left - x1, width - x1)
    visible = np.ascontiguousarray(pixels[rows, columns])
    return encode_crop(visible, top, left, height, width)
