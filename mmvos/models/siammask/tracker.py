"""SiameseTracker: SiamMask follows objects by comparing a search window with a template.

Wang et al., Fast Online Object Tracking and Segmentation (SiamMask), CVPR 2019; the steps of its
published code, whose weights give here what they give there, except that all objects are one batch
and that the template's kernels are made once. In each frame the network compares the template of an
object, from the frame where it was given, with a search window around its last place. Of all
anchors in the window the best gives the object's new box, and the mask at its cell.

Letters for shapes: K objects (training: B pairs), H x W pixels of the network's frame, S x S of a
search window, C channels, m x m cells of it (31) and n x n of the response map (25), N anchors, P
cells whose mask is learned. Boxes are center and size in frame pixels where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.deprecation import accept_old_options
from mmvos.ops.arrays import to_device
from mmvos.ops.polygons import box_polygon
from mmvos.ops.siamese_geometry import (
    STRIDE,
    TEMPLATE_SIZE,
    Color,
    Window,
    box_center,
    context_side,
    response_cells,
    window_around,
)
from mmvos.option_ranges import COUNT, INNER_SHARE, NOT_NEGATIVE, SHARE, Range, options_in
from mmvos.registry import MODELS
from mmvos.structures import Frame

from ..tracker import PromptedObjects, Tracker
from . import anchors as rpn
from . import losses
from .anchor_targets import AnchorLimits, anchor_targets
from .network import objectness
from .state import (
    PairResponse,
    SearchResponse,
    SiameseState,
    center_probabilities,
    min_followed_area,
    paste_cell_masks,
)
from .training_pairs import TrainingPairs
from .voters import fine_levels, refine_voters
from .voting import RESPONSE_PADDING

MIN_CHANCE = 1e-4  # with which hard negatives are drawn at least

States = tuple[SiameseState, ...]


@MODELS.register_module()
@accept_old_options(renamed={'most_masks': 'max_masks', 'least_overlap': 'min_overlap'})
@options_in(Range(TEMPLATE_SIZE, step=STRIDE), 'search_size')
@options_in(INNER_SHARE, 'mask_threshold')
@options_in(NOT_NEGATIVE, 'penalty', 'size_rate', 'loss_weights', 'motion')
@options_in(SHARE, 'window_influence', 'lost_score', 'min_overlap')
@options_in(COUNT, 'max_masks')
class SiameseTracker(Tracker[SiameseState]):
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
    ) -> None:
        super().__init__()
        self.features = MODELS.build(features)
        self.neck = MODELS.build(neck)
        self.head = MODELS.build(head)
        self.voting: Any = MODELS.build(voting) if voting else None
        if self.voting is not None and self.voting.refined and self.head.refine is None:
            raise ValueError('VotingMaskHead: refined votes need a head with a MaskRefiner')
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

    @property
    def cells(self) -> int:
        """n, the cells in a row of the response map in testing."""
        return response_cells(self.search_size)

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, States]:
        """Begin with the objects of a prompt; see ``Tracker.start``.

        A given mask is the answer. A box is segmented on its own frame.
        """
        # The template shows each object's box with its context.
        color = self.border_color(frame)
        centers = [box_center(box) for box in objects.boxes]
        sizes = [(x2 - x1, y2 - y1) for x1, y1, x2, y2 in objects.boxes]
        windows = []
        for center, size in zip(centers, sizes, strict=True):
            windows.append(window_around(center, context_side(*size)))
        kernels = self.encode_templates(frame, windows, color)

        states = []
        for k, object_id in enumerate(objects.ids):
            state = SiameseState(
                id=int(object_id),
                center=centers[k],
                size=sizes[k],
                kernels=kernels[k],
                color=color,
                score=1.0,
                region=box_polygon(centers[k], sizes[k]),
            )
            states.append(state)

        # (K, H, W): given masks, and found ones where a box was given
        probabilities = (objects.mask_priors + 1) / 2
        boxed = [k for k, is_mask in enumerate(objects.is_mask) if not is_mask]
        if boxed:
            found, _ = self.propagate(frame, tuple(states[k] for k in boxed))
            index = to_device(boxed, found, torch.int64)
            probabilities = probabilities.index_copy(0, index, found)
        return probabilities, tuple(states)

    def propagate(self, frame: Frame, states: States) -> tuple[Tensor, States]:
        """Find the known objects in the next frame; see ``Tracker.propagate``.

        A probability is above .5 where the mask's own is above ``mask_threshold``.
        """
        if not states:
            return frame.image.new_zeros(0, *frame.image.shape[2:]), states
        height, width = frame.meta.network_shape

        # Where each object is expected: where it was, or further on as it moved before.
        expected = [state.predicted(self.motion, height, width) for state in states]
        # Compare the templates with search windows around these places.
        response = self._search(frame, expected)

        # Take the best anchor of each window, and paste the mask of its cell, or of a vote, into
        # the frame.
        if self.voting is None:
            threshold = self.mask_threshold
            best, masks = self._segment_at_best(response, height, width)
        else:
            threshold = self.voting.threshold
            best, masks = self._segment_by_vote(response, expected, height, width)
        chosen, found = rpn.pick_anchors(
            best, response.boxes, response.scores, response.penalties, masks > threshold
        )

        # A lost object has no mask; every other is followed by its new box.
        moved = []
        for k, anchor in enumerate(chosen):
            if anchor.score < self.lost_score:
                masks[k] = -1
                moved.append(replace(expected[k], score=anchor.score, velocity=(0.0, 0.0)))
            else:
                state = expected[k].moved_to(
                    anchor,
                    response.windows[k].scale,
                    found[k],
                    self.size_rate,
                    min_followed_area(self.follow_mask, self.voting),
                )
                moved.append(state.with_velocity_from(states[k]))

        # (K, H, W): 0 in the padding of the batch
        padded = frame.image.new_zeros(len(masks), *frame.image.shape[2:])
        padded[:, :height, :width] = masks
        return center_probabilities(padded, threshold), tuple(moved)

    def commit(self, states: States, merged: Tensor) -> States:
        """Return the states as they are.

        Where an object is looked for follows from its own box, not from what others leave of its
        mask.
        """
        assert len(states) == len(merged)
        return states

    def border_color(self, frame: Frame) -> Color:
        """Return what is seen outside a frame by objects that start in it."""
        color: Color = self.features.border_color(frame)
        return color

    def encode_templates(self, frame: Frame, windows: Sequence[Window], color: Color) -> Tensor:
        """Make the kernels with which search windows are compared.

        Args:
            frame: the frame in which the windows lie.
            windows: K template windows.
            color: what is seen outside the frame.

        Returns:
            (K, 3, C, 5, 5), of score, box and mask.
        """
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

    def _search(self, frame: Frame, states: Sequence[SiameseState]) -> SearchResponse:
        """Compare the objects' templates with search windows around their places."""
        # (K, C, m, m): one pass of the backbone
        windows = [state.search_window(self.search_size) for state in states]
        places = [item.window for item in windows]
        colors = [state.color for state in states]
        search, features = self.features.encode_crops(frame, places, colors, self.search_size)

        # (K, N) and (K, N, 4): scores and boxes of all anchors
        kernels = torch.stack([state.kernels for state in states])
        scores, boxes = self._predict_anchors(kernels, search)

        # (K, 2): the objects' sizes in window pixels, from which a box should not differ much
        sizes = []
        for state, window in zip(states, windows, strict=True):
            width, height = state.size
            sizes.append([width * window.scale, height * window.scale])
        own_sizes = to_device(sizes, boxes, boxes.dtype)
        penalties = rpn.change_penalty(boxes, own_sizes, self.penalty)

        # An anchor loses by a change of size and shape, and by its distance from the middle.
        ranks = rpn.rank_anchors(scores, penalties, self.cells, self.window_influence)
        return SearchResponse(
            windows=windows,
            kernels=kernels,
            search=search,
            features=features,
            boxes=boxes,
            scores=scores,
            penalties=penalties,
            ranks=ranks,
        )

    def _predict_anchors(self, kernels: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (K, N) and boxes (K, N, 4) of all anchors; float64, as published."""
        # (K, C, n, n): the response maps of both branches
        score_response = self.neck.correlate(kernels, search, 'score')
        box_response = self.neck.correlate(kernels, search, 'box')

        # (K, 2A, n, n) and (K, 4A, n, n) -> (K, N) and (K, N, 4)
        logits, deltas = self.head(score_response, box_response)
        return self._anchor_boxes(logits, deltas)

    def _anchor_boxes(self, logits: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (K, N) and boxes (K, N, 4) from what the head gives."""
        scores, deltas = self.head.flatten(logits, deltas)

        # (K, N, 4): boxes relative to the middle of the search window
        anchors = rpn.anchor_grid(self.cells)
        anchors = anchors.to(deltas.device, non_blocking=True)
        boxes = rpn.decode_boxes(deltas.double(), anchors)
        return scores.double(), boxes

    def _segment_at_best(
        self, response: SearchResponse, height: int, width: int
    ) -> tuple[Tensor, Tensor]:
        """The best anchor (K,) of each window, and the mask (K, H, W) at its cell (SiamMask)."""
        # (K, 2): their cells
        best = response.ranks.argmax(dim=1)
        cells = rpn.anchor_cells(best, self.cells)

        # (K, C) -> (K, 127, 127), or (K, 63, 63) without refinement
        features = self.neck.correlate_at(response.kernels, response.search, cells)
        if self.head.refine is None:
            logits = self.head.base_masks(features)
        else:
            objects = torch.arange(len(cells), device=cells.device)
            index = torch.cat([objects[:, None], cells], dim=1)
            patches = self.features.mask_patches(response.features, index)
            logits = self.head.refine(features, patches)
        probabilities = logits.float().sigmoid()
        masks = paste_cell_masks(
            probabilities, response.windows, cells, self.search_size, height, width
        )
        return best, masks

    def _segment_by_vote(
        self, response: SearchResponse, states: Sequence[SiameseState], height: int, width: int
    ) -> tuple[Tensor, Tensor]:
        """The best anchor (K,) of each window, and the share (K, H, W) of the best ones that vote
        (S2iamMask).
        """
        # (K, N): ranks that also count the overlap with where the object was
        last_boxes = []
        for state, window in zip(states, response.windows, strict=True):
            last_boxes.append(state.relative_box(window.scale))
        last = to_device(last_boxes, response.boxes, response.boxes.dtype)
        ranks = self.voting.rerank_by_overlap(response.ranks, response.boxes, last)

        # (K, T): the best of them vote, and the very best is where the object is
        best = ranks.topk(self.voting.top_k).indices

        # (K, T, 4) -> (K * T, 5): the regions of the voters
        index = best[..., None].expand(-1, -1, 4)
        voters = response.boxes.gather(1, index)
        rois = self.voting.voter_rois(voters, self.search_size)

        # (K * T, M, M): each gives a mask inside its region, and votes with it
        if self.voting.refined:
            logits, places = refine_voters(response, best, self.neck, self.features, self.head)
            logits = self.voting.cut_to_boxes(logits, places, rois)
            rois = places
        else:
            mask_response = self.neck.correlate(
                response.kernels, response.search, 'mask', RESPONSE_PADDING
            )
            fine = fine_levels(response.features)
            logits = self.voting(mask_response, response.search, rois, fine)
        windows = [item.window for item in response.windows]
        masks = self.voting.vote(logits, rois, windows, self.search_size, height, width)
        return best[:, 0], masks

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
            scores, boxes = self._anchor_boxes(pairs.logits, pairs.deltas)
        response = pairs.mask_response.detach()
        fine = tuple(level.detach() for level in fine_levels(pairs.features))
        search = pairs.search.detach()
        return self.voting.loss(response, search, scores, boxes, truth, masks, has_mask, fine)
