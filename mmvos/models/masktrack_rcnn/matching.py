"""Matching of detections to remembered instances (Yang et al., Video Instance Segmentation, ICCV
2019, equations 1 and 2).

N detections, M remembered instances. Column 0 of a score matrix is "a new object", column j + 1 is
instance j.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def with_new_object(logits: Tensor) -> Tensor:
    """Put the constant logit 0 of "a new object" in front: (N, M) -> (N, M + 1)."""
    return F.pad(logits, (1, 0))


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Dot products (N, D), (M, D) -> (N, M), in float32 whatever autocast says.

    They are sums of a thousand terms that compete with terms of size 1 in ``match_scores``: at 100
    bfloat16 has steps of 0.5.
    """
    with torch.autocast(first.device.type, enabled=False):
        return first.float() @ second.float().T


def match_scores(
    logits: Tensor,
    scores: Tensor,
    ious: Tensor,
    same_label: Tensor,
    weights: tuple[float, float, float],
) -> Tensor:
    """Score of every detection with every instance and with "a new object".

    ``log p + weights[0] * log(score) + weights[1] * IoU + weights[2] * [same label]``, where p is
    the softmax over the M + 1 columns; for "a new object" the IoU is 0 and the labels agree.

    Args:
        logits: (N, M) similarity of the embeddings.
        scores: (N,) confidence of the detections, in (0, 1].
        ious: (N, M) overlap of the boxes, in [0, 1].
        same_label: (N, M) bool.
        weights: of the confidence, the overlap and the label.

    Returns:
        (N, M + 1).
    """
    assert logits.shape == ious.shape == same_label.shape and scores.shape == logits.shape[:1]
    by_score, by_iou, by_label = weights

    # (N, M + 1): equation 1, the probability that a detection is an instance
    log_probability = F.log_softmax(with_new_object(logits), dim=1)

    # (N, 1): the confidence of the detection
    log_score = scores.log()[:, None]

    # (N, M + 1): "a new object" overlaps nothing and has the right label
    overlap = F.pad(ious, (1, 0))
    agreement = same_label.to(logits.dtype)
    agreement = F.pad(agreement, (1, 0), value=1.0)

    # (N, M + 1): equation 2, the weighted sum of all terms
    total = log_probability + by_score * log_score
    total = total + by_iou * overlap
    return total + by_label * agreement


def assign_instances(scores: Tensor) -> Tensor:
    """Give each detection its best column; where several want one instance, the highest score wins
    and the losers vanish.

    A loser neither becomes a new object nor tries its second choice; a tie goes to the earlier
    detection.

    Args:
        scores: (N, M + 1) from ``match_scores``.

    Returns:
        (N,) int64: 0 a new object, j + 1 instance j, -1 a loser.
    """
    if scores.shape[0] == 0:
        return scores.new_zeros(0, dtype=torch.long)

    # (N,): the best column of each detection
    best, column = scores.max(dim=1)

    # (N, N): entry [i, k] says that k wants the instance that i wants
    wanted = column[:, None]
    wants_same = wanted == column[None, :]
    competes = wants_same & (wanted > 0)

    # (N, N): entry [i, k] says that k has the higher score, or the same and comes first
    own = best[:, None]
    others = best[None, :]
    is_higher = others > own
    is_earlier = _earlier(len(best), best.device)
    is_first_of_equals = (others == own) & is_earlier
    wins = is_higher | is_first_of_equals

    # (N,): a loser vanishes
    loses = competes & wins
    return column.masked_fill(loses.any(dim=1), -1)


def _earlier(n: int, device: torch.device) -> Tensor:
    """(n, n) bool: entry [i, k] says that k comes before i."""
    order = torch.arange(n, device=device)
    return order[None, :] < order[:, None]
