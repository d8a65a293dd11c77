"""SiameseTracker: the network of SiamMask in torch, and its training.

`SiameseTracking` says how a video is gone through; a frame begins there, in ``propagate``.

Wang et al., Fast Online Object Tracking and Segmentation (SiamMask), CVPR 2019.

Letters for shapes: K objects (training: B pairs), S x S pixels of a search window, C channels, a x
a cells of a template (7), m x m of a search window (31) and n x n of the response map (25), A = 5
anchors of a cell, N of all, P cells whose mask is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.deprecation import accept_old_options
from mmvos.ops.arrays import Array, to_device
from mmvos.ops.siamese_geometry import STRIDE, TEMPLATE_SIZE, Color, Window
from mmvos.option_ranges import COUNT, INNER_SHARE, NOT_NEGATIVE, SHARE, Range, options_in
from mmvos.registry import MODELS
from mmvos.structures import Frame

from ..tracker import Tracker
from . import anchors as rpn
from . import losses
from .anchor_targets import AnchorLimits, anchor_targets
from .network import objectness
from .state import SearchResponse, SiameseState
from .tracking import Comparison, SiameseTracking
from .training_pairs import PairResponse, TrainingPairs
from .vote import MaskVote
from .voting import RESPONSE_PADDING, fine_levels

MIN_CHANCE = 1e-4  # with which hard negatives are drawn at least


@dataclass(frozen=True)
class SearchFeatures:
    """What masks in K search windows are made of.

    Attributes:
        kernels: (K, 3, C, a - 2, a - 2), the templates.
        search: (K, C, m, m), adjusted features.
        levels: what masks are refined from.
    """

    kernels: Tensor
    search: Tensor
    levels: Any


@MODELS.register_module()
@accept_old_options(renamed={'most_masks': 'max_masks', 'least_overlap': 'min_overlap'})
@options_in(Range(TEMPLATE_SIZE, step=STRIDE), 'search_size')
@options_in(INNER_SHARE, 'mask_threshold')
@options_in(NOT_NEGATIVE, 'penalty', 'size_rate', 'loss_weights', 'motion')
@options_in(SHARE, 'window_influence', 'lost_score', 'min_overlap')
@options_in(COUNT, 'max_masks', 'computed_objects')
class SiameseTracker(SiameseTracking, Tracker[SiameseState]):
    """Tracking and segmentation with a siamese network.

    Args:
        features: config of ``CropFeatures`` or ``PyramidFeatures``.
        neck: config of a ``DepthwiseXCorr``.
        head: config of a ``SiameseHead``.
        search_size: S, 127 plus a multiple of 8.
        mask_threshold: probability above which a pixel is the object's.
        penalty: strength of the penalty for changes of size and shape.
        window_influence: share of the nearness to the window's middle in the choice of the anchor,
            against the score.
        size_rate: how much of a change of size is taken over where the score is 1.
        loss_weights: of score, box and mask; (0, 0, 36) where only the mask is trained.
        voting: config of a ``VotingMaskHead``, which then gives the masks (S2iamMask) and, as
            published, is all that is trained.
        max_masks: at most so many cells of a batch, drawn at random, are trained to give a mask;
            None: all.
        motion: share of an object's last displacement by which the search window is moved ahead;
            with 0, as published, it is looked for where it was.
        lost_score: an object whose chosen anchor scores less has no mask in the frame and stays
            where it was looked for; with 0, as published, every object is somewhere in every frame.
        hard_negatives: background anchors are drawn in proportion to the network's own belief that
            they are the object (importance sampling), and not all alike, as published.
        follow_mask: whether the next window lies around the box of the mask instead of the
            anchor's; by default, as published, S2iamMask's does and SiamMask's does not.
        joint_voting: whether the voting head is trained together with the rest, on which it has no
            influence.
        computed_objects: where there are more objects, so many of them (of twelve and more a third)
            are computed in a frame, in turns, and the optical flow carries the masks of the others,
            2 frames at the longest, where it explains what is seen of them. None, as published,
            computes all. On other devices than a CPU it changes nothing.
        min_overlap: where no anchor has an overlap of .6 with the object, those with the highest
            are trained to be it if theirs is above this.
    """

    def __init__(
        self,
        features: dict[str, Any],
        neck: dict[str, Any],
        head: dict[str, Any],
        search_size: int = 255,
        mask_threshold: float = 0.35,
        penalty: float = 0.04,
        window_influence: float = 0.4,
        size_rate: float = 1.0,
        loss_weights: tuple[float, float, float] = (1.0, 1.2, 36.0),
        voting: dict[str, Any] | None = None,
        max_masks: int | None = None,
        motion: float = 0.0,
        lost_score: float = 0.0,
        hard_negatives: bool = False,
        min_overlap: float = 0.6,
        follow_mask: bool | None = None,
        joint_voting: bool = False,
        computed_objects: int | None = None,
    ) -> None:
        super().__init__()
        # the network
        self.features = MODELS.build(features)
        self.neck = MODELS.build(neck)
        self.head = MODELS.build(head)
        self.voting: Any = MODELS.build(voting) if voting else None
        if self.voting is not None and self.voting.refined and self.head.refine is None:
            raise ValueError('VotingMaskHead: refined votes need a head with a MaskRefiner')

        # how objects are followed, and what is learned
        self.search_size = search_size
        self.mask_threshold = mask_threshold
        self.penalty = penalty
        self.window_influence = window_influence
        self.size_rate = size_rate
        self.loss_weights = loss_weights
        self.max_masks = max_masks
        self.motion = motion
        self.lost_score = lost_score
        self.hard_negatives = hard_negatives
        self.limits = AnchorLimits(min_overlap=min_overlap)
        self.follow_mask = follow_mask
        self.joint_voting = joint_voting
        self.computed_objects = computed_objects

    def windows_at_once(self, frame: Frame) -> int | None:
        """So many search windows at most pass the network as one batch; None: all."""
        at_once: int | None = self.features.windows_at_once(frame)
        return at_once

    def border_color(self, frame: Frame) -> Color:
        """Return what is seen outside a frame by objects that start in it."""
        color: Color = self.features.border_color(frame)
        return color

    def encode_templates(self, frame: Frame, windows: Sequence[Window], color: Color) -> Tensor:
        """Make the kernels with which search windows are compared; see ``SiameseTracking``."""
        colors = [color] * len(windows)
        # (K, C, a, a): the adjusted features of the template windows
        template, _ = self.features.encode_crops(frame, windows, colors, TEMPLATE_SIZE)
        return self.neck.encode_template(template)

    def objectness(
        self, frame: Frame, windows: Sequence[Window], colors: Sequence[Color], kernels: Tensor
    ) -> Tensor:
        """Compare templates with search windows by their scores alone.

        Args:
            frame: the frame in which the windows lie.
            windows: K search windows.
            colors: of each what is seen outside the frame.
            kernels: (K, 3, C, 5, 5), from ``encode_templates``.

        Returns:
            (K, n, n), of each cell the probability of its best anchor.
        """
        # (K, C, m, m): the adjusted features of the search windows
        search, _ = self.features.encode_crops(frame, windows, colors, self.search_size)
        # (K, C, n, n): the response map of the score branch
        response = self.neck.correlate(kernels, search, 'score')
        # (K, 2A, n, n)
        logits = self.head.score(response)
        return objectness(logits)

    def _compare(
        self, frame: Frame, windows: Sequence[Window], colors: Sequence[Color], kernels: Tensor
    ) -> Comparison:
        """Compare templates with search windows; see ``SiameseTracking``."""
        # (K, C, m, m): one pass of the backbone
        search, levels = self.features.encode_crops(frame, windows, colors, self.search_size)

        # (K, C, n, n): the response maps of both branches
        score_response = self.neck.correlate(kernels, search, 'score')
        box_response = self.neck.correlate(kernels, search, 'box')

        # (K, 2A, n, n) and (K, 4A, n, n) -> (K, N) and (K, 4, N)
        logits, deltas = self.head(score_response, box_response)
        scores, deltas = self.head.flatten(logits, deltas)
        return scores, deltas, SearchFeatures(kernels, search, levels)

    def _cell_masks(self, features: SearchFeatures, cells: Tensor) -> Tensor:
        """Predict the masks of chosen cells: (P, 127, 127), or (P, 63, 63) without refinement."""
        # (P, C): the mask branch's response at each cell
        responses = self.neck.correlate_at(features.kernels, features.search, cells)
        if self.head.refine is None:
            logits = self.head.base_masks(responses)
        else:
            patches = self.features.mask_patches(features.levels, cells)
            logits = self.head.refine(responses, patches)
        probabilities: Tensor = logits.float().sigmoid()
        return probabilities

    def _voter_masks(
        self, voting: MaskVote, response: SearchResponse, best: Array, rois: Array
    ) -> tuple[Array, Array]:
        """Predict the masks of candidates, of their cells or of their regions."""
        if self.voting.refined:
            return super()._voter_masks(voting, response, best, rois)
        # (K, C, m, m): the mask branch's response in the places of the search features
        features = response.features
        mask_response = self.neck.correlate(
            features.kernels, features.search, 'mask', RESPONSE_PADDING
        )
        fine = fine_levels(features.levels)
        logits = self.voting(mask_response, features.search, rois, fine)
        return logits.float().sigmoid(), rois

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Return the losses of B pairs, and the mean overlap of the masks learned.

        Args:
            inputs: (B, 2, 3, S, S), templates in the upper left corner, and search windows.
            data_samples: B pairs, packed by ``PackPair``.
        """
        templates = inputs[:, 0, :, :TEMPLATE_SIZE, :TEMPLATE_SIZE]
        searches = inputs[:, 1]
        truth = TrainingPairs.stack(data_samples)
        boxes = truth.boxes
        # the vote's pixels begin at their edge, the targets' in the middle of the first
        vote_boxes = boxes + 0.5
        learns_vote = self.voting is not None and not self.voting.refined
        if learns_vote and not self.joint_voting:
            with torch.no_grad():
                pairs = self.forward_pairs(templates, searches, RESPONSE_PADDING)
            return self._vote_loss(pairs, vote_boxes, truth.masks, truth.has_mask)

        # Which anchors are the object, and which are background.
        padding = RESPONSE_PADDING if learns_vote else 0
        pairs = self.forward_pairs(templates, searches, padding)
        cells = pairs.logits.shape[-1]
        chances = None
        if self.hard_negatives:
            scores, _ = self.head.flatten(pairs.logits.detach(), pairs.deltas.detach())
            chances = scores.clamp(min=MIN_CHANCE)
        grid = rpn.anchor_grid(cells, searches.shape[-1] // 2)
        grid = to_device(grid, boxes, boxes.dtype)
        targets = anchor_targets(grid, boxes, truth.negative, cells, self.limits, chances=chances)

        # The mask is learned at the cells of positive anchors, or at some of them.
        has_mask = to_device(truth.has_mask, boxes, torch.bool)
        index = losses.positive_cells(targets.labels, has_mask)
        order = torch.randperm(len(index), device=index.device)
        index = index[order[: self.max_masks]]
        mask_signs = losses.mask_targets(truth.masks, index, cells)
        inner = slice(padding, padding + cells)
        mask_response = pairs.mask_response[:, :, inner, inner]
        mask_logits = mask_response[:0, 0]
        if len(index):
            mask_logits = self.mask_logits(mask_response, pairs.features, index)

        score_weight, box_weight, mask_weight = self.loss_weights
        values = dict(
            loss_score=score_weight * losses.score_loss(pairs.logits, targets.labels),
            loss_box=box_weight * losses.box_loss(pairs.deltas, targets.deltas, targets.weights),
            loss_mask=mask_weight * losses.mask_loss(mask_logits, mask_signs),
            mask_overlap=losses.mask_overlap(mask_logits, mask_signs),
        )
        if learns_vote:
            values.update(self._vote_loss(pairs, vote_boxes, truth.masks, truth.has_mask))
        return values

    def forward_pairs(self, templates: Tensor, searches: Tensor, padding: int = 0) -> PairResponse:
        """Run the network on cut windows, for training.

        Args:
            templates: (B, 3, 127, 127).
            searches: (B, 3, S, S); 255 pixels give n = 25, 143 give n = 3.
            padding: cells of zeros around the response of the mask branch.
        """
        # (B, C, a, a) and (B, C, m, m): adjusted features
        template, _ = self.features(templates)
        search, features = self.features(searches)

        # (B, C, n, n): the response maps of the three branches
        kernels = self.neck.encode_template(template)
        score_response = self.neck.correlate(kernels, search, 'score')
        box_response = self.neck.correlate(kernels, search, 'box')
        mask_response = self.neck.correlate(kernels, search, 'mask', padding)
        logits, deltas = self.head(score_response, box_response)
        return PairResponse(logits, deltas, mask_response, features, search)

    def mask_logits(self, mask_response: Tensor, features: Any, index: Tensor) -> Tensor:
        """Predict the masks of cells, for training.

        Args:
            mask_response, features: from ``forward_pairs``.
            index: (P, 3) int64 rows (pair, row, column).

        Returns:
            (P, 127, 127), or (P, 63, 63) without refinement.
        """
        if self.head.refine is None:
            return self.head.base_masks_of(mask_response, index)
        # (P, C): the response at each cell
        pair, row, column = index.unbind(dim=1)
        responses = mask_response[pair, :, row, column]
        # finer features around it
        patches = self.features.mask_patches(features, index)
        return self.head.refine(responses, patches)

    def _vote_loss(
        self, pairs: PairResponse, truth: Tensor, masks: Tensor, has_mask: Tensor
    ) -> dict[str, Tensor]:
        """Loss of the vote, on what the first stage gives; it has no influence on that one."""
        with torch.no_grad():
            scores, deltas = self.head.flatten(pairs.logits, pairs.deltas)
            boxes = self._anchor_boxes(deltas)
        response = pairs.mask_response.detach()
        fine = tuple(level.detach() for level in fine_levels(pairs.features))
        search = pairs.search.detach()
        return self.voting.loss(
            response, search, scores.double(), boxes, truth, masks, has_mask, fine
        )
