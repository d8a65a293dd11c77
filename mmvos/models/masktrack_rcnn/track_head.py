"""TrackHead: embeds RoI features so that the dot product tells whether two boxes show the same
object.

Yang et al., Video Instance Segmentation, ICCV 2019, section 4.1. N key-frame RoIs, M reference
boxes, C x R x R RoI features, D the embedding's length.
"""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.option_ranges import COUNT, options_in
from mmvos.registry import MODELS

from .matching import similarity, with_new_object


@MODELS.register_module()
@options_in(COUNT, 'in_channels', 'roi_feat_size', 'fc_out_channels')
class TrackHead(BaseModule):
    """Two fully connected layers on the box head's RoI features; similarity is the raw dot product.

    Args:
        in_channels: C.
        roi_feat_size: R.
        fc_out_channels: D.
        relu_after_last: apply ReLU to the embedding. Embeddings are then never negative and "a new
            object" (logit 0) can only be reached by the other terms of the score; needed for the
            checkpoints of mmtracking and mmdet, which were trained so.
    """

    def __init__(
        self,
        in_channels: int = 256,
        roi_feat_size: int = 7,
        fc_out_channels: int = 1024,
        relu_after_last: bool = False,
    ) -> None:
        super().__init__(init_cfg=dict(type='Normal', layer='Linear', std=0.01))
        self.fcs = nn.ModuleList(
            [
                nn.Linear(in_channels * roi_feat_size**2, fc_out_channels),
                nn.Linear(fc_out_channels, fc_out_channels),
            ]
        )
        self.relu_after_last = relu_after_last

    def embed(self, roi_features: Tensor) -> Tensor:
        """(N, C, R, R) -> (N, D)."""
        x = F.relu(self.fcs[0](roi_features.flatten(1)))
        x = self.fcs[1](x).float()
        return F.relu(x) if self.relu_after_last else x

    def loss(
        self,
        key_embeddings: list[Tensor],
        reference_embeddings: list[Tensor],
        targets: list[Tensor],
    ) -> dict[str, Tensor]:
        """Cross entropy over "a new object" and the M reference boxes, averaged per image, then
        over the images.

        Only RoIs on an object count; one whose object is not in the reference frame has target 0.
        Gradients reach both frames; an image without such RoIs contributes a zero that is connected
        to the graph.

        Args:
            key_embeddings: per image (N, D), the RoIs that lie on an object.
            reference_embeddings: per image (M, D), the reference frame's ground-truth boxes.
            targets: per image (N,) int64 in [0, M].

        Returns:
            ``loss_match`` and ``match_accuracy`` (percent), both scalars.
        """
        assert len(key_embeddings) == len(reference_embeddings) == len(targets) > 0
        losses = []
        hits = []
        for key, reference, target in zip(key_embeddings, reference_embeddings, targets):
            # (N, M + 1): similarity with "a new object" and with each reference box
            logits = with_new_object(similarity(key, reference))
            if len(target):
                total = F.cross_entropy(logits, target, reduction='sum')
            else:
                # a zero that is connected to the graph
                total = logits.sum() + reference.sum() * 0
            losses.append(total / max(len(target), 1))
            hits.append(logits.detach().argmax(dim=1) == target)

        # percent of the RoIs of all images
        correct = torch.cat(hits).float()
        accuracy = correct.new_tensor(100.0)
        if len(correct):
            accuracy = correct.mean() * 100
        return {'loss_match': torch.stack(losses).mean(), 'match_accuracy': accuracy}
