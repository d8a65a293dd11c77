"""B training pairs: what the network says about them, and their targets.

Letters for shapes: S x S pixels of a search window, C channels, m x m cells of its features and n x
n of the response map, A anchors of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.ops.arrays import to_device


@dataclass(frozen=True)
class PairResponse:
    """What the network says about B training pairs.

    Attributes:
        logits: (B, 2A, n, n) of the scores.
        deltas: (B, 4A, n, n) of the boxes.
        mask_response: (B, C, n + 2p, n + 2p), the mask branch with p cells of padding.
        features: what masks are refined from.
        search: (B, C, m, m), adjusted features.
    """

    logits: Tensor
    deltas: Tensor
    mask_response: Tensor
    features: Any
    search: Tensor


@dataclass(frozen=True)
class TrainingPairs:
    """What is known of the objects in the search windows.

    Attributes:
        boxes: (B, 4) xyxy.
        masks: (B, S, S) uint8.
        negative: (B,) bool, pairs that do not show the same object.
        has_mask: (B,) bool on the host, pairs whose object has a mask and not only a box.
    """

    boxes: Tensor
    masks: Tensor
    negative: Tensor
    has_mask: Tensor

    @classmethod
    def stack(cls, data_samples: Sequence[TrackDataSample]) -> TrainingPairs:
        """Stack the targets of B pairs, packed by ``PackPair``."""
        # The second frame of a pair is its search window.
        samples = [sample[1] for sample in data_samples]
        boxes = torch.cat([sample.gt_instances.bboxes for sample in samples])
        masks = [sample.gt_instances.masks.masks for sample in samples]
        negative = [sample.metainfo['negative'] for sample in samples]
        has_mask = [sample.metainfo['has_mask'] for sample in samples]
        return cls(
            boxes=boxes,
            masks=to_device(np.concatenate(masks), boxes, torch.uint8),
            negative=to_device(negative, boxes, torch.bool),
            has_mask=torch.tensor(has_mask, dtype=torch.bool),
        )
