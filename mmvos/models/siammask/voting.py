"""The network and the training of S2iamMask's second stage; ``vote`` says how candidates vote.

Derived from the description of S2iamMask, a second stage on SiamMask: each of the best candidates
gives a mask inside its box, from the mask branch's response and the search features, whose logits
are added.

Letters for shapes: K search windows of S x S pixels with m x m cells, C channels, N anchors, R
regions, r x r cells of one and M x M pixels of its mask. Anchor boxes are center and size in window
pixels from the window's middle; corners are xyxy in window pixels, 0 being the edge of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import nms
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.deprecation import accept_old_options
from mmvos.ops.boxes import box_overlaps
from mmvos.ops.crop import roi_align
from mmvos.ops.siamese_geometry import FIRST_CELL, STRIDE
from mmvos.option_ranges import COUNT, INNER_SHARE, NOT_NEGATIVE, SHARE, Range, options_in
from mmvos.registry import MODELS

from .vote import MaskVote

# The backbone features from which masks are made finer, coarse to fine: pixels from cell to cell,
# and where the middle of the first one is, from the window's edge.
FINE_LEVELS = ((8, FIRST_CELL), (4, 3.5), (2, 3.5))
# With so much padding the mask branch's response has the places of the search features.
RESPONSE_PADDING = 3
LOSS_WEIGHT = 36.0  # as that of SiamMask's masks
# Training regions are the best boxes by score, of which those that overlap a better one by more
# than ``NMS_OVERLAP`` are dropped; of the rest at most so many are taken, and those learned that
# overlap the object by ``MIN_OBJECT_OVERLAP``.
BEST_BOXES = 1000
NMS_OVERLAP = 0.7
MAX_PROPOSALS = 100
MIN_OBJECT_OVERLAP = 0.5


@MODELS.register_module()
@accept_old_options(
    renamed={'smallest': 'min_area', 'most_regions': 'max_regions'}, removed=('loss_weight',)
)
@options_in(COUNT, 'channels', 'top_k', 'min_votes', 'max_regions', 'fine_channels')
@options_in(SHARE, 'iou_weight')
@options_in(NOT_NEGATIVE, 'enlarge', 'min_area')
@options_in(INNER_SHARE, 'mask_threshold')
@options_in(Range(4, step=4), 'roi_size')
class VotingMaskHead(MaskVote, BaseModule):
    """A fully convolutional network on regions, and the vote.

    Args:
        channels: C.
        top_k, iou_weight, enlarge, mask_threshold, min_votes, min_area: see ``MaskVote``.
        max_regions: at most so many regions of a window, the object's own box and others drawn at
            random, are learned from; None: all. Candidates overlap, so that a few of more windows
            teach more in the same time.
        roi_size: r, a multiple of 4; 28 as published, where masks have 28 x 28 pixels.
        fine_channels: of stage 2, stage 1 and stem, from which masks are made finer; each that is
            given doubles their side.
        refined: candidates vote with the masks of SiamMask's refining module at their cells, cut to
            their boxes; there is nothing to train then.
    """

    def __init__(
        self,
        channels: int = 256,
        top_k: int = 10,
        iou_weight: float = 0.7,
        enlarge: float = 0.4,
        mask_threshold: float = 0.2,
        min_votes: int = 6,
        min_area: float = 1600.0,
        max_regions: int | None = None,
        roi_size: int = 28,
        fine_channels: Sequence[int] = (),
        refined: bool = False,
    ) -> None:
        super().__init__()
        if min_votes > top_k:
            raise ValueError(f'min_votes must be at most top_k ({top_k}), not {min_votes}')
        if fine_channels and channels // 4 >> len(fine_channels) == 0:
            raise ValueError(
                f'{channels} channels are too few for {len(fine_channels)} finer levels'
            )

        # the vote
        self.top_k = top_k
        self.iou_weight = iou_weight
        self.enlarge = enlarge
        self.mask_threshold = mask_threshold
        self.min_votes = min_votes
        self.min_area = min_area
        self.max_regions = max_regions
        self.roi_size = roi_size
        self.refined = refined
        if refined:
            return

        # what each kind of features goes through: down to a quarter and up again, with skips
        half = channels // 2
        quarter = channels // 4
        small = channels // 16
        if fine_channels:
            small = quarter
        self.encoders = nn.ModuleList([_conv_pair(channels), _conv_pair(channels)])
        self.up1 = nn.ConvTranspose2d(channels, quarter, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(quarter, small, 4, 2, 1)
        self.skip1 = _skip(channels, half, quarter)
        self.skip2 = _skip(channels, quarter, small)

        # finer levels, each of which doubles the side
        self.refine = nn.ModuleList()
        for fine in fine_channels:
            self.refine.append(_Finer(small, fine, small // 2))
            small //= 2
        self.last = nn.Conv2d(small, 1, 1)

    @property
    def mask_size(self) -> int:
        """M."""
        return self.roi_size * 2 ** len(self.refine)

    def forward(
        self, response: Tensor, search: Tensor, rois: Tensor, fine: Sequence[Tensor] = ()
    ) -> Tensor:
        """Predict the masks of regions.

        Args:
            response: (K, C, m, m), of the mask branch with ``RESPONSE_PADDING``.
            search: (K, C, m, m), adjusted search features.
            rois: (R, 5), window and corners.
            fine: stage 2, stage 1 and stem of the windows, as many as ``fine_channels`` has.

        Returns:
            Logits (R, M, M).
        """
        # (R, C, r, r): the cells of the regions, of either kind of features
        response_cells = _cells(response, rois, self.roi_size, STRIDE, FIRST_CELL)
        search_cells = _cells(search, rois, self.roi_size, STRIDE, FIRST_CELL)

        # (R, small, r, r): each through the same layers
        response_map = self._decode(response_cells)
        search_map = self._decode(search_cells)
        if not self.refine:
            return (self.last(response_map) + self.last(search_map))[:, 0]

        # enlarged, with finer features of the same regions
        if len(fine) < len(self.refine):
            raise ValueError('VotingMaskHead: fine_channels need CropFeatures')
        x = response_map + search_map
        size = self.roi_size
        for layer, features, (stride, first) in zip(self.refine, fine, FINE_LEVELS):
            size *= 2
            x = layer(x, _cells(features, rois, size, stride, first))
        return self.last(x)[:, 0]

    def _decode(self, features: Tensor) -> Tensor:
        """(R, C, r, r) -> (R, small, r, r)."""
        # down to (R, C, r / 2, r / 2)
        first = self.encoders[0](features)
        first = F.max_pool2d(first, 2, ceil_mode=True)

        # down to (R, C, r / 4, r / 4)
        second = self.encoders[1](first)
        second = F.max_pool2d(second, 2, ceil_mode=True)

        # up to (R, C / 4, r / 2, r / 2) and (R, small, r, r)
        x = self.up1(second) + self.skip1(first)
        return self.up2(x) + self.skip2(features)

    def loss(
        self,
        response: Tensor,
        search: Tensor,
        scores: Tensor,
        boxes: Tensor,
        truth: Tensor,
        masks: Tensor,
        has_mask: Tensor,
        fine: Sequence[Tensor] = (),
    ) -> dict[str, Tensor]:
        """Return the binary cross entropy of the masks of regions on the object.

        The regions are its own box and candidates of the first stage, enlarged as in
        ``voter_rois``, so that what is trained is what votes.

        Args:
            response, search: see ``forward``.
            scores: (K, N) of the anchors.
            boxes: (K, N, 4) of the anchors.
            truth: (K, 4) corners of the object.
            masks: (K, S, S) in {0, 1}.
            has_mask: (K,) bool of the host, whether the window has a mask of the object.
            fine: see ``forward``.
        """
        size = masks.shape[2]
        regions = []
        for k in has_mask.nonzero()[:, 0].tolist():
            corners = self._training_regions(scores[k], boxes[k], truth[k], size)
            regions.append(F.pad(corners, (1, 0), value=float(k)))

        # (R, 5)
        regions.append(truth.new_zeros(0, 5))
        rois = torch.cat(regions)

        # (R, M, M): what is predicted, and the object's mask in the regions
        logits = self(response, search, rois, fine).float()
        target = roi_align(masks[:, None].float(), rois, self.mask_size, 1.0, 2)
        target = (target[:, 0] >= 0.5).float()

        total = F.binary_cross_entropy_with_logits(logits, target, reduction='sum')
        return dict(loss_vote=LOSS_WEIGHT * total / max(target.numel(), 1))

    def _training_regions(self, scores: Tensor, boxes: Tensor, truth: Tensor, size: int) -> Tensor:
        """Regions of one window that are learned from, the object's own box first.

        Args:
            scores: (N,).
            boxes: (N, 4).
            truth: (4,) corners of the object.
            size: S.

        Returns:
            (R, 4) corners, enlarged.
        """
        # what the first stage proposes
        count = min(BEST_BOXES, len(scores))
        best = scores.topk(count).indices
        corners = bbox_cxcywh_to_xyxy(boxes[best]) + size / 2
        corners = corners.clamp(0, size).float()
        _, kept = nms(corners, scores[best].float(), NMS_OVERLAP)
        kept = kept[:MAX_PROPOSALS]

        # of which those on the object are learned from
        corners = torch.cat([truth[None], corners[kept]])
        overlap = box_overlaps(corners, truth[None])[:, 0]
        corners = corners[overlap >= MIN_OBJECT_OVERLAP]

        # at most so many: the object's own box, and a random choice of the others
        if self.max_regions is not None and len(corners) > self.max_regions:
            order = torch.randperm(len(corners) - 1, device=corners.device)
            others = order[: self.max_regions - 1] + 1
            chosen = F.pad(others, (1, 0))
            corners = corners[chosen]
        return self._enlarged(corners, size)


def fine_levels(features: Any) -> tuple[Tensor, ...]:
    """Return stage 2, stage 1 and stem, where the features of windows are these levels."""
    return features[::-1] if isinstance(features, tuple) else ()


class _Finer(nn.Module):
    """Double the side of masks, with backbone features of the same regions.

    Args:
        channels: of what comes.
        fine_channels: of the features.
        out_channels: of what is given.
    """

    def __init__(self, channels: int, fine_channels: int, out_channels: int) -> None:
        super().__init__()
        self.inside = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(fine_channels, out_channels, 3, padding=1)
        self.join = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """(R, C, s, s) and (R, C', 2 s, 2 s) -> (R, out, 2 s, 2 s)."""
        x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
        x = F.relu(self.inside(x) + self.skip(features))
        return F.relu(self.join(x))


def _cells(features: Tensor, rois: Tensor, size: int, stride: int, first: float) -> Tensor:
    """Cut the regions (R, 5) out of features (K, C, h, w): (R, C, size, size).

    RoIAlign takes the middle of the first cell to be at half a cell; it is at pixel ``first``.
    """
    shift = first - stride / 2
    shifted = torch.cat([rois[:, :1], rois[:, 1:] - shift], dim=1)
    # Cells of 8 pixels are sampled twice in each direction.
    samples = 2 if stride == STRIDE else 1
    scale = 1 / stride
    return roi_align(features.float(), shifted, size, scale, samples)


def _conv_pair(channels: int) -> nn.Sequential:
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
