"""SiameseTracker: follows objects by comparing a search window with a template of the object's
first frame.

Wang et al., Fast Online Object Tracking and Segmentation (SiamMask), CVPR 2019; the steps of its
published code, whose weights give here what they give there, except that all objects are one batch
and that the template's kernels are made once. Of all anchors in a search window the best gives the
object's new place, and the mask at its cell. K objects, H x W the network's frame, n x n cells, N
anchors, S x S pixels of a mask; boxes are centre and size in frame pixels, probabilities in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from mmdet.structures import TrackDataSample
from numpy.typing import NDArray
from torch import Tensor

from mmvos.models.siammask.anchor_targets import AnchorLimits, anchor_targets
from mmvos.models.siammask.anchors import (
    STRIDE,
    Candidates,
    Choice,
    anchor_grid,
    change_penalty,
    cosine_window,
    decode_boxes,
)
from mmvos.models.siammask.losses import (
    WINDOW,
    box_loss,
    mask_loss,
    mask_overlap,
    mask_windows,
    positive_cells,
    score_loss,
)
from mmvos.ops.crop import (
    TEMPLATE,
    box_center,
    mask_area,
    paste_mask,
    search_side,
    template_side,
    window_around,
)
from mmvos.ops.masks import center_probabilities
from mmvos.ops.polygons import SMALLEST_AREA, box_polygon, mask_box, mask_polygon
from mmvos.registry import MODELS
from mmvos.structures import Frame

from ..tracker import PromptedObjects, Tracker
from .state import SiameseState, inside

SMALLEST = 10.0  # frame pixels, of the box that is followed

States = tuple[SiameseState, ...]


@MODELS.register_module()
class SiameseTracker(Tracker[SiameseState]):
    """Tracking and segmentation with a siamese network.

    Args:
        features: config of ``CropFeatures`` or ``PyramidFeatures``.
        neck: config of a ``DepthwiseXCorr``.
        head: config of a ``SiameseHead``.
        search_size: pixels of the search window.
        mask_threshold: probability above which a pixel is the object's.
        penalty: strength of the penalty for changes of size and shape.
        window_influence: share of the nearness to the window's middle in the choice of the anchor,
            against the score.
        size_rate: how much of a change of size is taken over where the score is 1.
        loss_weights: of score, box and mask; (0, 0, 36) where only the mask is trained.
        voting: config of a ``VotingMaskHead``, which then gives the masks (S2iamMask) and is all
            that is trained.
        most_masks: at most so many cells of a batch, drawn at random, are trained to give a mask;
            None: all.
        motion: share of an object's last displacement by which the search window is moved ahead;
            with 0, as published, it is looked for where it was.
        lost_score: an object whose chosen anchor scores less has no mask in the frame and stays
            where it was looked for; with 0, as published, every object is somewhere in every frame.
        hard_negatives: background anchors are drawn in proportion to the network's own belief that
            they are the object (importance sampling), and not all alike, as published.
        least_overlap: where no anchor has an overlap of .6 with the object, those with the highest
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
        most_masks: int | None = None,
        motion: float = 0.0,
        lost_score: float = 0.0,
        hard_negatives: bool = False,
        least_overlap: float = 0.6,
    ) -> None:
        super().__init__()
        self.features = MODELS.build(features)
        self.neck = MODELS.build(neck)
        self.head = MODELS.build(head)
        self.voting: Any = MODELS.build(voting) if voting else None
        self.search_size, self.mask_threshold = search_size, mask_threshold
        self.penalty, self.window_influence, self.size_rate = penalty, window_influence, size_rate
        self.loss_weights, self.most_masks, self.hard_negatives = (
            loss_weights,
            most_masks,
            hard_negatives,
        )
        self.motion, self.lost_score, self.limits = (
            motion,
            lost_score,
            AnchorLimits(least=least_overlap),
        )
        self.cells = (search_size - TEMPLATE) // STRIDE + 9  # n

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, States]:
        """Begin with the objects of a prompt; a given mask is the answer, a box is segmented on its
        own frame. See ``Tracker.start``.
        """
        color = self.features.color(frame)
        places = [(box_center(box), (box[2] - box[0], box[3] - box[1])) for box in objects.boxes]
        windows = [window_around(center, template_side(*size)) for center, size in places]
        template, _ = self.features.look(frame, windows, [color] * len(windows), TEMPLATE)
        kernels = self.neck.encode_template(template)
        states = tuple(
            SiameseState(
                id=int(i),
                center=center,
                size=size,
                kernels=kernel,
                color=color,
                score=1.0,
                region=box_polygon(center, size),
            )
            for i, (center, size), kernel in zip(objects.ids, places, kernels, strict=True)
        )
        probabilities = (objects.mask_priors + 1) / 2
        boxed = [k for k, is_mask in enumerate(objects.is_mask) if not is_mask]
        if boxed:
            found, _ = self.propagate(frame, tuple(states[k] for k in boxed))
            probabilities = probabilities.index_copy(
                0, torch.tensor(boxed, device=found.device), found
            )
        return probabilities, states

    def propagate(self, frame: Frame, states: States) -> tuple[Tensor, States]:
        """Probabilities (K, H, W) of the objects in the next frame, each against the rest, and the
        states, to be committed.

        A probability is above .5 where the mask's own is above ``mask_threshold``.
        """
        if not states:
            return frame.image.new_zeros(0, *frame.image.shape[2:]), states
        before, states = (
            states,
            tuple(s.ahead(self.motion, *frame.meta.network_shape) for s in states),
        )
        scales = [TEMPLATE / template_side(*s.size) for s in states]
        windows = [
            window_around(s.center, search_side(TEMPLATE / scale, self.search_size))
            for s, scale in zip(states, scales, strict=True)
        ]
        search, levels = self.features.look(
            frame, windows, [s.color for s in states], self.search_size
        )
        kernels = torch.stack([s.kernels for s in states])
        candidates = self._candidates(kernels, search, states, scales)
        if self.voting is None:
            cells = [
                divmod(anchor % self.cells**2, self.cells)
                for anchor in candidates.best[:, 0].tolist()
            ]
            masks = self._masks(kernels, search, levels, cells).float().sigmoid().cpu().numpy()
            pasted = [
                paste_mask(
                    mask,
                    mask_area(s.center, window[2], cell, self.search_size),
                    *frame.meta.network_shape,
                )
                for mask, s, window, cell in zip(masks, states, windows, cells, strict=True)
            ]
            threshold = self.mask_threshold
        else:
            voters = candidates.boxes.gather(1, candidates.best[..., None].expand(-1, -1, 4))
            rois = self.voting.rois(voters, self.search_size)
            logits = self.voting(self.neck.correlate(kernels, search, 'mask', 3), search, rois)
            pasted = self.voting.vote(
                logits, rois, windows, self.search_size, *frame.meta.network_shape
            )
            threshold = self.voting.threshold
        chosen = candidates.chosen()
        pasted = [
            mask if score >= self.lost_score else np.full_like(mask, -1)
            for mask, (_, score, _) in zip(pasted, chosen)
        ]
        found = self._moved(
            states, chosen, scales, [mask > threshold for mask in pasted], *frame.meta.network_shape
        )
        moved = tuple(
            new.after(old) if new.score >= self.lost_score else new
            for new, old in zip(found, before, strict=True)
        )
        return self._probabilities(frame, pasted, threshold), moved

    def commit(self, states: States, merged: Tensor) -> States:
        """The states: where an object is looked for follows from its own box, not from what others
        leave of its mask.
        """
        assert len(states) == len(merged)
        return states

    def compare(self, templates: Tensor, searches: Tensor) -> tuple[Tensor, Tensor, Tensor, Any]:
        """The network on cut windows, for training.

        Args:
            templates: (B, 3, 127, 127).
            searches: (B, 3, S, S); 255 pixels give n = 25, 143 give n = 3.

        Returns:
            Logits (B, 10, n, n), deltas (B, 20, n, n), the mask branch (B, C, n, n), and the
            features that ``mask_logits`` takes.
        """
        template, _ = self.features(templates)
        search, levels = self.features(searches)
        kernels = self.neck.encode_template(template)
        answers = [
            self.neck.correlate(kernels, search, branch) for branch in ('score', 'box', 'mask')
        ]
        return *self.head(*answers[:2]), answers[2], levels

    def mask_logits(self, mask_map: Tensor, levels: Any, index: Tensor) -> Tensor:
        """Mask logits (P, S, S) of cells, for training.

        Args:
            mask_map, levels: from ``compare``.
            index: (P, 3) int64 rows (pair, row, column).
        """
        if self.head.refine is None:
            logits: Tensor = self.head.base_masks_of(mask_map, index)
        else:
            pair, row, column = index.unbind(dim=1)
            logits = self.head.refine(
                mask_map[pair, :, row, column], self.features.patches(levels, index)
            )
        return logits

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of B pairs, and the mean overlap of the masks learned.

        Args:
            inputs: (B, 2, 3, S, S), templates in the upper left corner, and search windows.
            data_samples: B pairs, packed by ``PackPair``.
        """
        templates, searches = inputs[:, 0, :, :TEMPLATE, :TEMPLATE], inputs[:, 1]
        found = [sample[1] for sample in data_samples]
        boxes = torch.cat([item.gt_instances.bboxes for item in found])
        masks = torch.cat(
            [item.gt_instances.masks.to_tensor(torch.uint8, boxes.device) for item in found]
        )
        negative, has_mask = (
            torch.tensor([item.metainfo[key] for item in found], device=boxes.device)
            for key in ('negative', 'has_mask')
        )
        if self.voting is not None:
            return self._vote_loss(templates, searches, boxes + 0.5, masks, has_mask)
        scores, deltas, mask_map, levels = self.compare(templates, searches)
        size, cells = searches.shape[-1], scores.shape[-1]
        chances = (
            self.head.flatten(scores.detach(), deltas.detach())[0].clamp(min=1e-4)
            if self.hard_negatives
            else None
        )
        targets = anchor_targets(
            anchor_grid(cells, size // 2).to(boxes),
            boxes,
            negative,
            cells,
            self.limits,
            chances=chances,
        )
        index = positive_cells(targets.labels, has_mask)
        index = index[torch.randperm(len(index), device=index.device)[: self.most_masks]]
        windows = mask_windows(masks, index, ((cells - 1) * STRIDE + WINDOW - size) // 2)
        logits = self.mask_logits(mask_map, levels, index) if len(index) else mask_map[:0, 0]
        score_weight, box_weight, mask_weight = self.loss_weights
        return dict(
            loss_score=score_weight * score_loss(scores, targets.labels),
            loss_box=box_weight * box_loss(deltas, targets.deltas, targets.weights),
            loss_mask=mask_weight * mask_loss(logits, windows),
            mask_overlap=mask_overlap(logits, windows),
        )

    def _candidates(
        self, kernels: Tensor, search: Tensor, states: States, scales: Sequence[float]
    ) -> Candidates:
        """The anchors' scores and boxes, and which is best."""
        scores, boxes = self._decoded(kernels, search)
        window = cosine_window(self.cells).to(scores.device)
        sizes = boxes.new_tensor(
            [[side * scale for side in s.size] for s, scale in zip(states, scales, strict=True)]
        )
        penalties = change_penalty(boxes, sizes, self.penalty)
        ranks = penalties * scores * (1 - self.window_influence) + window * self.window_influence
        if self.voting is None:
            return Candidates(boxes, scores, penalties, ranks.argmax(dim=1, keepdim=True))
        last = boxes.new_tensor([s.seen(scale) for s, scale in zip(states, scales, strict=True)])
        return Candidates(
            boxes,
            scores,
            penalties,
            self.voting.prefer(ranks, boxes, last).topk(self.voting.top_k).indices,
        )

    def _decoded(self, kernels: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (K, N) that it is the object, and boxes (K, N, 4), of all anchors;
        float64.
        """
        answers = [self.neck.correlate(kernels, search, branch) for branch in ('score', 'box')]
        scores, deltas = (item.double() for item in self.head.flatten(*self.head(*answers)))
        return scores, decode_boxes(deltas, anchor_grid(self.cells).to(deltas.device))

    def _vote_loss(
        self, templates: Tensor, searches: Tensor, truth: Tensor, masks: Tensor, usable: Tensor
    ) -> dict[str, Tensor]:
        """Loss of the vote, on what the finished first stage gives."""
        with torch.no_grad():
            kernels = self.neck.encode_template(self.features(templates)[0])
            search, _ = self.features(searches)
            scores, boxes = self._decoded(kernels, search)
            correlation = self.neck.correlate(kernels, search, 'mask', 3)
        losses: dict[str, Tensor] = self.voting.loss(
            correlation, search, scores, boxes, truth, masks, usable
        )
        return losses

    def _masks(
        self, kernels: Tensor, search: Tensor, levels: Any, cells: list[tuple[int, int]]
    ) -> Tensor:
        """Mask logits (K, S, S), each at one cell (row, column)."""
        features = self.neck.correlate_at(kernels, search, cells)
        if self.head.refine is None:
            logits: Tensor = self.head.base_masks(features)
        else:
            index = torch.tensor([(k, *cell) for k, cell in enumerate(cells)])
            logits = self.head.refine(features, self.features.patches(levels, index))
        return logits

    def _moved(
        self,
        states: States,
        chosen: Sequence[Choice],
        scales: Sequence[float],
        masks: Sequence[NDArray[np.bool_]],
        height: int,
        width: int,
    ) -> States:
        """The states after the frame, from the best candidates and the masks in the frame."""
        moved = []
        for state, scale, mask, ((dx, dy, w, h), score, penalty) in zip(
            states, scales, masks, chosen
        ):
            if score < self.lost_score:
                moved.append(replace(state, score=score, velocity=(0.0, 0.0)))
                continue
            rate = penalty * score * self.size_rate
            center = (state.center[0] + dx / scale, state.center[1] + dy / scale)
            size = (
                state.size[0] * (1 - rate) + w / scale * rate,
                state.size[1] * (1 - rate) + h / scale * rate,
            )
            region = mask_polygon(mask, self.voting.smallest if self.voting else SMALLEST_AREA)
            if region is None:
                region = box_polygon(center, size)
            elif self.voting is not None:
                center, size = mask_box(mask)
            center = inside(center, height, width)
            size = max(min(size[0], width), SMALLEST), max(min(size[1], height), SMALLEST)
            moved.append(replace(state, center=center, size=size, score=score, region=region))
        return tuple(moved)

    @staticmethod
    def _probabilities(
        frame: Frame, masks: Sequence[NDArray[np.float32]], threshold: float
    ) -> Tensor:
        """(K, H, W) of masks in the frame's valid part, the threshold moved to .5."""
        height, width = frame.meta.network_shape
        found = frame.image.new_zeros(len(masks), *frame.image.shape[2:])
        found[:, :height, :width] = torch.from_numpy(np.stack(masks)).to(found)
        return center_probabilities(found, threshold)
