"""Detection without a wait: what mmdet's two-stage detector finds in a frame, in tensors of fixed
sizes, so that a GPU need not tell the host how many there are before it goes on.

The steps and numbers are those of mmdet's ``RPNHead``, ``BBoxHead`` and ``multiclass_nms`` (Ren et
al., Faster R-CNN, NeurIPS 2015). Non-maximum suppression is greedy in the order of scores; here it
is computed in rounds, in each of which all boxes are looked at together. After as many rounds as a
chain of boxes that suppress one another is long nothing changes any more, which then is the greedy
answer. ``is_exact`` says whether that was so; where it was not, the frame is to be detected anew.

N boxes, C classes, P proposals, D detections, H x W the frame in network pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.arrays import to_device
from mmvos.ops.boxes import box_overlaps

# Rounds of suppression; chains of real frames have less than ten boxes.
ROUNDS = 16
# Of all boxes of all classes at most so many, the best, are candidates.
MAX_CANDIDATES = 1000
NO_SCORE = -1.0
MIN_RATIO = 16 / 1000  # mmdet's bound of how a box's side changes


@dataclass(frozen=True)
class Boxes:
    """Boxes of which some places may be empty.

    Attributes:
        boxes: (N, 4) xyxy, 0 in empty places.
        scores: (N,), ``NO_SCORE`` in empty places.
        labels: (N,) int64.
        is_exact: () bool, whether these are the boxes that mmdet finds.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    is_exact: Tensor


def propose(
    head: Any, scores: list[Tensor], deltas: list[Tensor], shape: tuple[int, int], settings: Any
) -> Boxes:
    """Turn the output of an RPN into proposals; see mmdet's ``RPNHead``.

    Args:
        head: mmdet's ``RPNHead``.
        scores: of each level (1, A, h, w) logits.
        deltas: of each level (1, 4 A, h, w).
        shape: H and W.
        settings: ``test_cfg`` of the RPN.
    """
    generator = head.prior_generator
    device = scores[0].device
    sizes = [tuple(level.shape[2:]) for level in scores]
    priors = generator.grid_priors(sizes, dtype=scores[0].dtype, device=device)

    # the best of each level
    boxes = []
    probabilities = []
    levels = []
    for level, level_priors in enumerate(priors):
        # (A * h * w,) and (A * h * w, 4)
        logits = scores[level][0].permute(1, 2, 0)
        level_deltas = deltas[level][0].permute(1, 2, 0)
        level_deltas = level_deltas.reshape(-1, 4)
        order = logits.flatten().sigmoid().sort(descending=True)
        count = min(settings.nms_pre, len(order.values))
        best = order.indices[:count]
        found = decode_boxes(head.bbox_coder, level_priors[best], level_deltas[best], shape)
        boxes.append(found)
        probabilities.append(order.values[:count])
        levels.append(torch.full_like(best, level))
    all_boxes = torch.cat(boxes)

    # without those that have no area
    sides = all_boxes[:, 2:] - all_boxes[:, :2]
    is_box = (sides > settings.min_bbox_size).all(dim=1)
    all_probabilities = torch.where(is_box, torch.cat(probabilities), NO_SCORE)
    return suppress(
        all_boxes,
        all_probabilities,
        torch.cat(levels),
        settings.nms.iou_threshold,
        settings.max_per_img,
    )


def classify(
    head: Any,
    proposals: Boxes,
    logits: Tensor,
    deltas: Tensor,
    shape: tuple[int, int],
    settings: Any,
) -> Boxes:
    """Turn the output of a box head into detections; see mmdet's ``BBoxHead``.

    Args:
        head: mmdet's ``BBoxHead``.
        proposals: P of them.
        logits: (P, C + 1), background last.
        deltas: (P, 4 C), or (P, 4) where they are the same for all classes.
        shape: H and W.
        settings: ``test_cfg`` of the R-CNN.
    """
    # (P, C, 4): the box of each class
    count = len(logits)
    classes = logits.shape[1] - 1
    kinds = deltas.shape[1] // 4
    priors = proposals.boxes.repeat_interleave(kinds, dim=0)
    boxes = decode_boxes(head.bbox_coder, priors, deltas.reshape(-1, 4), shape)
    boxes = boxes.view(count, kinds, 4)
    boxes = boxes.expand(count, classes, 4)

    # (P, C): its score
    scores = F.softmax(logits, dim=-1)
    scores = scores[:, :-1]
    is_proposal = proposals.scores >= 0
    is_candidate = (scores > settings.score_thr) & is_proposal[:, None]
    scores = torch.where(is_candidate, scores, NO_SCORE)

    # the best of all
    number = min(MAX_CANDIDATES, scores.numel())
    best = scores.flatten().topk(number)
    candidates = boxes.reshape(-1, 4)
    candidates = candidates[best.indices]
    labels = best.indices % classes
    found = suppress(
        candidates,
        best.values,
        labels,
        settings.nms.iou_threshold,
        settings.max_per_img,
    )

    # Candidates that were left out do not matter where the others fill all places.
    is_full = found.scores[-1] >= 0
    is_complete = is_candidate.sum() <= MAX_CANDIDATES
    is_exact = found.is_exact & proposals.is_exact & (is_full | is_complete)
    return Boxes(found.boxes, found.scores, found.labels, is_exact)


def suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, max_count: int
) -> Boxes:
    """Suppress boxes that overlap a better one of their group; see mmcv's ``batched_nms``.

    Args:
        boxes: (N, 4).
        scores: (N,), ``NO_SCORE`` for places that are empty.
        groups: (N,) int64; boxes of different groups do not matter to each other.
        threshold: of the overlap.
        max_count: how many are kept at most.

    Returns:
        The best ``max_count`` of those kept (N where there are less), the highest score first;
        ``labels`` are their groups.
    """
    # in the order of the scores
    order = scores.sort(descending=True)
    scores = order.values
    groups = groups[order.indices]
    is_box = scores >= 0
    boxes = torch.where(is_box[:, None], boxes[order.indices], 0)

    # each group in a place of its own
    distance = boxes.max() + 1
    offsets = groups.to(boxes) * distance
    apart = boxes + offsets[:, None]
    overlaps = box_overlaps(apart, apart)

    # (N, N): entry [i, j] says that i, if it stays, suppresses j
    is_above = overlaps > threshold
    suppresses = is_above.triu(diagonal=1).float()
    is_kept = is_box
    before = is_kept
    for _ in range(ROUNDS):
        before = is_kept
        with torch.autocast(boxes.device.type, enabled=False):
            suppressors = is_kept.float() @ suppresses
        is_free = suppressors == 0
        is_kept = is_box & is_free

    kept_scores = torch.where(is_kept, scores, NO_SCORE)
    count = min(max_count, len(scores))
    best = kept_scores.topk(count)
    is_there = best.values >= 0
    kept_boxes = boxes[best.indices]
    return Boxes(
        boxes=torch.where(is_there[:, None], kept_boxes, 0),
        scores=best.values,
        labels=groups[best.indices],
        is_exact=(is_kept == before).all(),
    )


def decode_boxes(coder: Any, priors: Tensor, deltas: Tensor, shape: tuple[int, int]) -> Tensor:
    """Shift and scale boxes, and clip them to the frame; see mmdet's ``delta2bbox``.

    Args:
        coder: mmdet's ``DeltaXYWHBBoxCoder``.
        priors, deltas: (N, 4).
        shape: H and W.

    Returns:
        (N, 4).
    """
    # what the coder has normalized
    means = to_device(coder.means, deltas)
    deviations = to_device(coder.stds, deltas)
    deltas = deltas * deviations + means
    shifts, growth = deltas.split(2, dim=1)

    # the center moves by a share of the sides
    low, high = priors.split(2, dim=1)
    sides = high - low
    center = (low + high) * 0.5
    center = center + sides * shifts

    # a side grows or shrinks by the factor 62.5 at most
    largest = abs(float(np.log(MIN_RATIO)))
    growth = growth.clamp(-largest, largest)
    sides = sides * growth.exp()
    half = sides * 0.5
    x1, y1 = (center - half).unbind(dim=1)
    x2, y2 = (center + half).unbind(dim=1)
    if coder.clip_border:
        height, width = shape
        x1 = x1.clamp(0, width)
        x2 = x2.clamp(0, width)
        y1 = y1.clamp(0, height)
        y2 = y2.clamp(0, height)
    return torch.stack([x1, y1, x2, y2], dim=1)
