"""InstanceMemory: which objects a video has shown so far, and which detection is which of them.

Yang et al., Video Instance Segmentation, ICCV 2019, section 4.2. N detections of the current frame,
M remembered instances, D the embedding's length. Ids count from 1 in the order in which objects
were first seen. By default nothing is forgotten inside a video; with ``max_idle`` the memory of an
endless one stays small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor, nn

from mmvos.option_ranges import COUNT_OR_ZERO, NOT_NEGATIVE, options_in
from mmvos.registry import MODELS

from .matching import assign_instances, match_scores, similarity


@dataclass(frozen=True)
class MemoryState:
    """The instances that are remembered.

    Attributes:
        embeddings: (M, D), of the last time the instance was seen.
        boxes: (M, 4) xyxy, of the last time it was seen.
        labels: (M,) class index of the first time it was seen; never updated.
        ids: (M,) int64, increasing.
        idle: (M,) int64, for how many frames it has not been seen.
        shown: (M,) bool, false for instances that were removed: they are recognised, but have no
            id.
        count: () int64, the number of ids given so far.
    """

    embeddings: Tensor
    boxes: Tensor
    labels: Tensor
    ids: Tensor
    idle: Tensor
    shown: Tensor
    count: Tensor


@MODELS.register_module()
@options_in(NOT_NEGATIVE, 'match_weights')
@options_in(COUNT_OR_ZERO, 'max_idle')
class InstanceMemory(nn.Module):
    """Matches the detections of a frame against the instances seen so far.

    Args:
        match_weights: weights of the detection score, the box IoU and the label agreement beside
            the similarity.
        max_idle: an instance that has not been seen for more frames than this is forgotten, and
            comes back as a new one; None forgets nothing.
    """

    def __init__(
        self,
        match_weights: tuple[float, float, float] = (1.0, 2.0, 10.0),
        max_idle: int | None = None,
    ) -> None:
        super().__init__()
        self.match_weights = match_weights
        self.max_idle = max_idle

    @staticmethod
    def start(embedding_length: int, device: torch.device | str) -> MemoryState:
        """An empty memory."""
        none = torch.zeros(0, dtype=torch.long, device=device)
        return MemoryState(
            embeddings=torch.zeros(0, embedding_length, device=device),
            boxes=torch.zeros(0, 4, device=device),
            labels=none,
            ids=none,
            idle=none,
            shown=none.bool(),
            count=torch.zeros((), dtype=torch.long, device=device),
        )

    def match(
        self, state: MemoryState, embeddings: Tensor, boxes: Tensor, labels: Tensor, scores: Tensor
    ) -> tuple[MemoryState, Tensor]:
        """Names the detections of one frame.

        While the memory is empty every detection is a new object. Per instance the best detection
        wins and refreshes the instance's embedding and box (not its label); the others that wanted
        it are dropped.

        Args:
            state: the memory before the frame; it is not changed.
            embeddings, boxes, labels, scores: (N, D), (N, 4) xyxy in any one scale of the frame,
                (N,), (N,) in (0, 1].

        Returns:
            The memory after the frame, and (N,) int64 ids, 0 for detections that are dropped and
            those of removed instances.
        """
        assert len(embeddings) == len(boxes) == len(labels) == len(scores)
        state = self._without_idle(state)

        # (N, M + 1): score of each detection with "a new object" and with each instance
        table = match_scores(
            similarity(embeddings, state.embeddings),
            scores,
            bbox_overlaps(boxes, state.boxes),
            labels[:, None] == state.labels[None, :],
            self.match_weights,
        )

        # (N,): 0 a new object, j + 1 instance j, -1 dropped
        column = assign_instances(table)
        is_new = column == 0
        is_match = column > 0

        # Name the detections: new ids are counted on; removed instances and -1 have the name 0.
        names = torch.cat([state.ids.new_zeros(1), state.ids * state.shown])  # (M + 1,) by column
        new_ids = state.count + is_new.cumsum(0)
        ids = torch.where(is_new, new_ids, names[column.clamp(min=0)])

        # Refresh the instances that were seen, then append the new ones.
        slots = column[is_match] - 1
        added = ids[is_new]
        seen_embeddings = state.embeddings.index_copy(0, slots, embeddings[is_match])
        seen_boxes = state.boxes.index_copy(0, slots, boxes[is_match])
        idle = (state.idle + 1).index_fill(0, slots, 0)
        after = MemoryState(
            embeddings=torch.cat([seen_embeddings, embeddings[is_new]]),
            boxes=torch.cat([seen_boxes, boxes[is_new]]),
            labels=torch.cat([state.labels, labels[is_new]]),
            ids=torch.cat([state.ids, added]),
            idle=torch.cat([idle, torch.zeros_like(added)]),
            shown=torch.cat([state.shown, added > 0]),
            count=state.count + len(added),
        )
        return after, ids

    @staticmethod
    def remove(state: MemoryState, object_id: int) -> MemoryState:
        """The memory in which an instance is recognised but has no id any more, so that it does not
        come back as a new one.

        Raises:
            ValueError: no such instance is remembered, or it was removed before.
        """
        found = (state.ids == object_id) & state.shown
        if not found.any():
            raise ValueError(
                f'there is no object {object_id} to remove; known are '
                f'{state.ids[state.shown].tolist()}'
            )
        return replace(state, shown=state.shown & ~found)

    def _without_idle(self, state: MemoryState) -> MemoryState:
        """The memory without the instances that have not been seen for too long."""
        if self.max_idle is None:
            return state
        kept = state.idle <= self.max_idle
        columns = ('embeddings', 'boxes', 'labels', 'ids', 'idle', 'shown')
        return replace(state, **{name: getattr(state, name)[kept] for name in columns})
