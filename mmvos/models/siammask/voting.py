"""VotingMaskHead: the mask of a siamese tracker by vote of several candidates (S2iamMask).

Derived from the description of S2iamMask, a second stage on SiamMask: each of the best candidates
gives a mask inside its box, from the mask branch's correlation and the search features, whose
logits are added; a pixel is the object's where enough of them say so. K search windows of S x S
pixels with m x m cells, C channels, R regions, N anchors; boxes are centre and size in window
pixels from the window's middle unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.ops import nms
from mmdet.structures.bbox import bbox_overlaps
from mmengine.model import BaseModule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.ops.crop import Window
from mmvos.ops.masks import paste_in_box
from mmvos.ops.roi_align import roi_align
from mmvos.registry import MODELS

SIZE, STRIDE = 28, 8
FIRST_PIXEL = 3.5  # window pixels before the first cell
# in training: how many, of how many, suppressed from, learned from
PROPOSALS, BEST, OVERLAP, SAME = 100, 1000, 0.7, 0.5


@MODELS.register_module()
class VotingMaskHead(BaseModule):
    """A fully convolutional network on regions, and the vote.

    Args:
        channels: C.
        top_k: candidates that vote.
        iou_weight: share of the overlap with the last box in the choice of candidates, against
            score, penalties and nearness.
        enlarge: by how much of its width or height a candidate's box is moved out at each side.
        mask_threshold: probability above which a candidate votes for a pixel.
        min_votes: votes that a pixel needs.
        smallest: area in pixels that the outline of a mask must enclose for the object to be
            followed by it.
        loss_weight: of the mask loss.
        most_regions: at most so many regions of a window, the object's own box and others drawn at
            random, are learned from; None: all. Candidates overlap, so that a few of more windows
            teach more in the same time.
    """

    def __init__(
        self,
        channels: int = 256,
        top_k: int = 10,
        iou_weight: float = 0.7,
        enlarge: float = 0.4,
        mask_threshold: float = 0.2,
        min_votes: int = 6,
        smallest: float = 1600.0,
        loss_weight: float = 36.0,
        most_regions: int | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= min_votes <= top_k:
            raise ValueError(f'min_votes must be between 1 and top_k ({top_k}), not {min_votes}')
        if most_regions is not None and most_regions < 1:
            raise ValueError(f'most_regions must be at least 1, not {most_regions}')
        self.top_k, self.iou_weight, self.enlarge = top_k, iou_weight, enlarge
        self.mask_threshold, self.min_votes, self.smallest = mask_threshold, min_votes, smallest
        self.loss_weight, self.most_regions = loss_weight, most_regions
        half, quarter, small = channels // 2, channels // 4, channels // 16
        self.encoders = nn.ModuleList([_convolutions(channels), _convolutions(channels)])
        self.up1, self.up2 = (
            nn.ConvTranspose2d(channels, quarter, 4, 2, 1),
            nn.ConvTranspose2d(quarter, small, 4, 2, 1),
        )
        self.skip1, self.skip2 = _skip(channels, half, quarter), _skip(channels, quarter, small)
        self.last = nn.Conv2d(small, 1, 1)

    def forward(self, correlation: Tensor, search: Tensor, rois: Tensor) -> Tensor:
        """Logits (R, 28, 28) of regions.

        Args:
            correlation: (K, C, m, m), of the mask branch with three cells of padding.
            search: (K, C, m, m), adjusted search features.
            rois: (R, 5), window and box xyxy in window pixels, 0 being the edge of the first.
        """
        moved = rois - rois.new_tensor([0, *[FIRST_PIXEL] * 4])
        both = [
            self._decode(roi_align(maps.float(), moved, SIZE, 1 / STRIDE, 2))
            for maps in (correlation, search)
        ]
        return both[0] + both[1]

    def prefer(self, ranks: Tensor, boxes: Tensor, last: Tensor) -> Tensor:
        """Ranks (K, N) with the share of the overlap of the boxes (K, N, 4) with where the objects
        (K, 4) were.
        """
        overlap = torch.stack(
            [
                bbox_overlaps(_corners(own), _corners(one[None]))[:, 0]
                for own, one in zip(boxes, last)
            ]
        )
        return (1 - self.iou_weight) * ranks + self.iou_weight * overlap

    def rois(self, boxes: Tensor, size: int) -> Tensor:
        """Regions (K * T, 5) of the candidates' boxes (K, T, 4), enlarged, inside a window of
        ``size`` pixels.
        """
        corners = self._grown(_corners(boxes) + size / 2, size)
        windows = torch.arange(len(boxes), device=boxes.device)[:, None, None].expand(
            -1, boxes.shape[1], 1
        )
        return torch.cat([windows.to(corners), corners], dim=-1).flatten(0, 1).float()

    def vote(
        self,
        logits: Tensor,
        rois: Tensor,
        windows: Sequence[Window],
        size: int,
        height: int,
        width: int,
    ) -> list[NDArray[np.float32]]:
        """The share of the candidates that vote for each pixel of the frame.

        Args:
            logits: (K * T, 28, 28).
            rois: (K * T, 5), from ``rois``.
            windows: K, where the search windows lie in the frame.
            size: S.
            height, width: of the frame.

        Returns:
            K maps (height, width) in [0, 1]; a pixel is the object's above ``threshold``.
        """
        probabilities, corners = logits.float().sigmoid().cpu(), rois.cpu()
        shares: list[NDArray[np.float32]] = [
            np.zeros((height, width), dtype=np.float32) for _ in windows
        ]
        for mask, (window, *box) in zip(probabilities, corners.tolist(), strict=True):
            x, y, side = windows[int(window)]
            place = torch.tensor(box) * (side / size) + torch.tensor([x, y, x, y])
            pasted, top, left = paste_in_box(mask, place, height, width)
            part = shares[int(window)][top : top + pasted.shape[0], left : left + pasted.shape[1]]
            part += (pasted > self.mask_threshold).numpy() / np.float32(self.top_k)
        return shares

    @property
    def threshold(self) -> float:
        """The share that lies between too few votes and enough."""
        return (self.min_votes - 0.5) / self.top_k

    def loss(
        self,
        correlation: Tensor,
        search: Tensor,
        scores: Tensor,
        boxes: Tensor,
        truth: Tensor,
        masks: Tensor,
        usable: Tensor,
    ) -> dict[str, Tensor]:
        """Binary cross entropy of the masks of regions on the object: its own box, and candidates
        of the first stage.

        Regions are enlarged as in ``rois``, so that what is trained is what votes.

        Args:
            correlation, search: see ``forward``.
            scores: (K, N) of the anchors.
            boxes: (K, N, 4) of the anchors.
            truth: (K, 4) xyxy in window pixels, 0 being the edge of the first.
            masks: (K, S, S) in {0, 1}.
            usable: (K,) bool, whether the window has a mask of the object.
        """
        regions = []
        for k in usable.nonzero()[:, 0].tolist():
            best = scores[k].topk(min(BEST, scores.shape[1])).indices
            corners = (
                (_corners(boxes[k, best]) + masks.shape[2] / 2).clamp(0, masks.shape[2]).float()
            )
            kept = nms(corners, scores[k, best].float(), OVERLAP)[1][:PROPOSALS]
            corners = torch.cat([truth[k, None], corners[kept]])
            corners = corners[bbox_overlaps(corners, truth[k, None])[:, 0] >= SAME]
            if self.most_regions is not None and len(corners) > self.most_regions:
                drawn = (
                    torch.randperm(len(corners) - 1, device=corners.device)[: self.most_regions - 1]
                    + 1
                )
                corners = corners[F.pad(drawn, (1, 0))]  # the object's own box is the first
            regions.append(F.pad(self._grown(corners, masks.shape[2]), (1, 0), value=float(k)))
        rois = torch.cat(regions) if regions else truth.new_zeros(0, 5)
        logits = self(correlation, search, rois)
        target = (roi_align(masks[:, None].float(), rois, SIZE, 1.0, 2)[:, 0] >= 0.5).float()
        total = F.binary_cross_entropy_with_logits(logits, target, reduction='sum')
        return dict(loss_vote=self.loss_weight * total / max(target.numel(), 1))

    def _grown(self, corners: Tensor, size: int) -> Tensor:
        """Boxes (..., 4) xyxy with ``enlarge`` of their sides added at each side, inside a window
        of ``size`` pixels.
        """
        margin = self.enlarge * (corners[..., 2:] - corners[..., :2])
        return torch.cat([corners[..., :2] - margin, corners[..., 2:] + margin], dim=-1).clamp(
            0, size
        )

    def _decode(self, features: Tensor) -> Tensor:
        """(R, C, 28, 28) -> (R, 28, 28)."""
        first = F.max_pool2d(self.encoders[0](features), 2, ceil_mode=True)  # (R, C, 14, 14)
        second = F.max_pool2d(self.encoders[1](first), 2, ceil_mode=True)  # (R, C, 7, 7)
        x = self.up1(second) + self.skip1(first)
        x = self.up2(x) + self.skip2(features)
        return self.last(x)[:, 0]


def _corners(boxes: Tensor) -> Tensor:
    """(..., 4) centre and size to xyxy."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], dim=-1)


def _convolutions(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(inplace=True),
    )


def _skip(channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, out_channels, 1),
        nn.ReLU(inplace=True),
    )
