"""InstanceMemory: which objects a video has shown so far, and which detection is which of them.

Yang et al., Video Instance Segmentation, ICCV 2019, section 4.2. N detections of the current frame, M remembered instances,
D the embedding's length. Ids count from 1 in the order in which objects were first seen; nothing is forgotten inside a video.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor, nn

from mmvos.ops.matching import assign_instances, match_scores, similarity
from mmvos.registry import MODELS


@dataclass(frozen=True)
class MemoryState:
    """The instances seen so far; instance j has the id j + 1.

    Attributes:
        embeddings: (M, D), of the last time the instance was seen.
        boxes: (M, 4) xyxy, of the last time it was seen.
        labels: (M,) class index of the first time it was seen; never updated.
    """

    embeddings: Tensor
    boxes: Tensor
    labels: Tensor


@MODELS.register_module()
class InstanceMemory(nn.Module):
    """Matches the detections of a frame against the instances seen so far.

    Args:
        match_weights: weights of the detection score, the box IoU and the label agreement beside the similarity.
    """

    def __init__(self, match_weights: tuple[float, float, float] = (1.0, 2.0, 10.0)) -> None:
        super().__init__()
        self.match_weights = match_weights

    @staticmethod
    def start(embedding_length: int, device: torch.device | str) -> MemoryState:
        """An empty memory."""
        return MemoryState(torch.zeros(0, embedding_length, device=device), torch.zeros(0, 4, device=device),
                           torch.zeros(0, dtype=torch.long, device=device))

    def match(self, state: MemoryState, embeddings: Tensor, boxes: Tensor, labels: Tensor,
              scores: Tensor) -> tuple[MemoryState, Tensor]:
        """Names the detections of one frame.

        While the memory is empty every detection is a new object. Per instance the best detection wins and refreshes the
        instance's embedding and box (not its label); the others that wanted it are dropped.

        Args:
            state: the memory before the frame; it is not changed.
            embeddings, boxes, labels, scores: (N, D), (N, 4) xyxy in any one scale of the frame, (N,), (N,) in (0, 1].

        Returns:
            The memory after the frame, and (N,) int64 ids, 0 for detections that are dropped.
        """
        assert len(embeddings) == len(boxes) == len(labels) == len(scores)
        table = match_scores(similarity(embeddings, state.embeddings), scores, bbox_overlaps(boxes, state.boxes),
                             labels[:, None] == state.labels[None, :], self.match_weights)
        column = assign_instances(table)
        is_new, is_match = column == 0, column > 0
        known = len(state.labels)
        ids = torch.where(is_new, known + is_new.cumsum(0), column.clamp(min=0))
        slots = ids[is_match] - 1
        old = MemoryState(state.embeddings.index_copy(0, slots, embeddings[is_match]),
                          state.boxes.index_copy(0, slots, boxes[is_match]), state.labels)
        return MemoryState(torch.cat([old.embeddings, embeddings[is_new]]), torch.cat([old.boxes, boxes[is_new]]),
                           torch.cat([old.labels, labels[is_new]])), ids
