"""SiameseTracking: how SiamMask goes from frame to frame, whatever computes its network.

Wang et al., Fast Online Object Tracking and Segmentation (SiamMask), CVPR 2019; the steps of its
published code, whose weights give here what they give there, except that all objects are one batch
and that the template's kernels are made once. In each frame the network compares the template of an
object, from the frame where it was given, with a search window around its last place. Of all
anchors in the window the best gives the object's new box, and the mask at its cell. With a vote
(S2iamMask) several candidates give the mask. `SiameseTracker` adds a network in torch and its
training, `mmvos.onnx` one that onnxruntime computes. Arrays are torch's or numpy's; nothing here
imports torch.

Letters for shapes: K objects, H x W pixels of the network's frame, S x S of a search window, C
channels, n x n cells of the response map (25), N anchors, P cells whose mask is wanted, M x M
pixels of a mask, T voters. Boxes are center and size in frame pixels where nothing else is said.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmvos.ops.arrays import (
    Array,
    array_namespace,
    device,
    is_on_host,
    largest,
    pad_maps,
    to_device,
)
from mmvos.ops.optical_flow import take_view
from mmvos.ops.polygons import MIN_AREA, box_polygon
from mmvos.ops.siamese_geometry import (
    TEMPLATE_SIZE,
    Color,
    Window,
    box_center,
    context_side,
    mask_corner,
    response_cells,
    window_around,
)
from mmvos.structures import Frame

from ..carried_objects import Kept, find_carried, join_kept
from ..tracked_objects import PromptedObjects
from . import anchors as rpn
from .state import SearchResponse, SiameseState, center_probabilities, paste_cell_masks
from .vote import MaskVote

States = tuple[SiameseState, ...]
Comparison = tuple[Array, Array, Any]  # scores (K, N), deltas (K, 4, N), and what masks are made of


class SiameseTracking(ABC):
    """Base of the siamese trackers; a child gives the settings and the network.

    Attributes:
        search_size: S.
        mask_threshold, penalty, window_influence, size_rate, motion, lost_score, follow_mask: see
            ``SiameseTracker``.
        voting: how candidates vote for the mask; None where the best one gives it.
        computed_objects: in a frame, where the motion of the picture carries others; None: all.
    """

    search_size: int
    mask_threshold: float
    penalty: float
    window_influence: float
    size_rate: float
    motion: float
    lost_score: float
    follow_mask: bool | None
    voting: MaskVote | None
    computed_objects: int | None = None

    @abstractmethod
    def border_color(self, frame: Frame) -> Color:
        """Return what is seen outside a frame by objects that start in it."""

    @abstractmethod
    def encode_templates(self, frame: Frame, windows: Sequence[Window], color: Color) -> Array:
        """Make the kernels with which search windows are compared.

        Args:
            frame: the frame in which the windows lie.
            windows: K template windows.
            color: what is seen outside the frame.

        Returns:
            (K, 3, C, 5, 5), of score, box and mask.
        """

    @abstractmethod
    def _compare(
        self, frame: Frame, windows: Sequence[Window], colors: Sequence[Color], kernels: Array
    ) -> Comparison:
        """Compare templates with search windows.

        Args:
            frame: the frame in which the windows lie.
            windows: K search windows.
            colors: of each what is seen outside the frame.
            kernels: (K, 3, C, 5, 5), from ``encode_templates``.

        Returns:
            Scores (K, N) of all anchors, what is predicted for their boxes (K, 4, N), and what
            ``_cell_masks`` takes.
        """

    @abstractmethod
    def _cell_masks(self, features: Any, cells: Array) -> Array:
        """Predict the masks of chosen cells.

        Args:
            features: from ``_compare``.
            cells: (P, 3) int64 rows (window, row, column).

        Returns:
            Probabilities (P, M, M).
        """

    @property
    def cells(self) -> int:
        """n, the cells in a row of the response map in testing."""
        return response_cells(self.search_size)

    @property
    def accepts_points(self) -> bool:
        """Whether objects may be given by points."""
        return False

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Array, States]:
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
            found, _ = self._look_for(frame, tuple(states[k] for k in boxed))
            xp = array_namespace(found)
            probabilities[to_device(boxed, found, xp.int64)] = found
        return probabilities, tuple(states)

    def correct(self, known: SiameseState, started: SiameseState) -> SiameseState:
        """Return the new state: there is no memory; see ``Tracker.correct``."""
        return started

    def keep_memory(self, state: SiameseState) -> SiameseState:
        """Return the state, which is small without its mask; see ``Tracker.keep_memory``."""
        return replace(state, guide=None, view=None)

    def recall(self, state: SiameseState, prompted: Sequence[SiameseState]) -> SiameseState:
        """Return the state as it was: there is no memory; see ``Tracker.recall``."""
        return state

    def propagate(self, frame: Frame, states: States) -> tuple[Array, States]:
        """Find the known objects in the next frame; see ``Tracker.propagate``.

        A probability is above .5 where the mask's own is above ``mask_threshold``.
        """
        kept: dict[int, Kept[SiameseState]] = {}
        view = None
        if self._carries(frame, states):
            view = take_view(frame.image)
            kept = find_carried(frame, view, states, (), self.computed_objects or 0)
        computed = tuple(state for k, state in enumerate(states) if k not in kept)
        found, moved = self._look_for(frame, computed)
        if view is None:
            return found, moved
        return join_kept(len(states), kept, found, moved, view)

    def _carries(self, frame: Frame, states: States) -> bool:
        """Whether objects may be carried into a frame; a device computes all of them at once."""
        if self.computed_objects is None or not is_on_host(frame.image):
            return False
        return len(states) > self.computed_objects

    def _look_for(self, frame: Frame, states: States) -> tuple[Array, States]:
        """Compute known objects in the next frame; see ``propagate``."""
        padded_size = tuple(frame.image.shape[2:])
        if not states:
            xp = array_namespace(frame.image)
            nothing = xp.zeros((0, *padded_size), dtype=xp.float32, device=device(frame.image))
            return nothing, states
        height, width = frame.meta.network_shape

        # Where each object is expected: where it was, or further on as it moved before.
        expected = [state.predicted(self.motion, height, width) for state in states]
        # Groups of objects, as few and as equal as may be: their features stay in the cache.
        most = self.windows_at_once(frame) or len(states)
        num_groups = math.ceil(len(states) / most)
        size = math.ceil(len(states) / num_groups)
        parts = []
        moved: list[SiameseState] = []
        for first in range(0, len(states), size):
            group = slice(first, first + size)
            masks, found = self._find(frame, expected[group])
            # (K, H, W): 0 in the padding of the batch
            padded = pad_maps(masks, padded_size)
            parts.append(center_probabilities(padded, self._threshold))
            for state, before in zip(found, states[group], strict=True):
                if state.score >= self.lost_score:
                    state = state.with_velocity_from(before)
                moved.append(replace(state, view=None, frames_carried=0))
        if len(parts) == 1:
            return parts[0], tuple(moved)
        return array_namespace(frame.image).concat(parts), tuple(moved)

    def windows_at_once(self, frame: Frame) -> int | None:
        """So many search windows at most pass the network as one batch; None: all."""
        return None

    @property
    def _threshold(self) -> float:
        """Above which a pixel of a mask is the object's."""
        return self.mask_threshold if self.voting is None else self.voting.threshold

    def _find(
        self, frame: Frame, expected: Sequence[SiameseState]
    ) -> tuple[Array, list[SiameseState]]:
        """Find some objects near where they are expected.

        Args:
            frame: the next frame.
            expected: K objects, where they are looked for.

        Returns:
            Masks (K, H, W), -1 where there is none, and the objects where they were found; what is
            lost has no velocity.
        """
        # Compare the templates with search windows around these places.
        height, width = frame.meta.network_shape
        response = self._search(frame, expected)

        # Take the best anchor of each window, and paste the mask of its cell, or of a vote, into
        # the frame.
        if self.voting is None:
            best, masks = self._segment_at_best(response, height, width)
        else:
            best, masks = self._segment_by_vote(self.voting, response, expected, height, width)
        chosen, found = rpn.pick_anchors(
            best, response.boxes, response.scores, response.penalties, masks > self._threshold
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
                    self._min_followed_area(),
                )
                moved.append(state)
        return masks, moved

    def commit(self, states: States, merged: Array) -> States:
        """Return the states; what is left of their masks is kept where objects may be carried.

        Where an object is looked for follows from its own box, not from what others leave of its
        mask.
        """
        assert len(states) == len(merged)
        committed = []
        for state, own in zip(states, merged, strict=True):
            guide = None
            if state.view is not None and state.score >= self.lost_score:
                guide = 2 * own - 1
            committed.append(replace(state, guide=guide))
        return tuple(committed)

    def _search(self, frame: Frame, states: Sequence[SiameseState]) -> SearchResponse:
        """Compare the objects' templates with search windows around their places."""
        xp = array_namespace(frame.image)
        windows = [state.search_window(self.search_size) for state in states]
        places = [item.window for item in windows]
        colors = [state.color for state in states]
        kernels = xp.stack([state.kernels for state in states])
        scores, deltas, features = self._compare(frame, places, colors, kernels)

        # (K, N) and (K, N, 4): scores and boxes of all anchors; float64, as published
        scores = xp.astype(scores, xp.float64)
        boxes = self._anchor_boxes(deltas)

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
            features=features,
            boxes=boxes,
            scores=scores,
            penalties=penalties,
            ranks=ranks,
        )

    def _anchor_boxes(self, deltas: Array) -> Array:
        """Boxes (K, N, 4) relative to the middle of the search window, from deltas (K, 4, N)."""
        xp = array_namespace(deltas)
        anchors = to_device(rpn.anchor_grid(self.cells), deltas, xp.float64)
        return rpn.decode_boxes(xp.astype(deltas, xp.float64), anchors)

    def _segment_at_best(
        self, response: SearchResponse, height: int, width: int
    ) -> tuple[Array, Array]:
        """The best anchor (K,) of each window, and the mask (K, H, W) at its cell (SiamMask)."""
        # (K, 3): their cells
        xp = array_namespace(response.ranks)
        best = xp.argmax(response.ranks, axis=1)
        cells = rpn.anchor_cells(best[:, None], self.cells)

        # (K, M, M) in the windows, (K, H, W) in the frame
        probabilities = self._cell_masks(response.features, cells)
        masks = paste_cell_masks(
            probabilities, response.windows, cells, self.search_size, height, width
        )
        return best, masks

    def _segment_by_vote(
        self,
        voting: MaskVote,
        response: SearchResponse,
        states: Sequence[SiameseState],
        height: int,
        width: int,
    ) -> tuple[Array, Array]:
        """The best anchor (K,) of each window, and the share (K, H, W) of the best ones that vote
        (S2iamMask).
        """
        # (K, N): ranks that also count the overlap with where the object was
        xp = array_namespace(response.boxes)
        last_boxes = []
        for state, window in zip(states, response.windows, strict=True):
            last_boxes.append(state.relative_box(window.scale))
        last = to_device(last_boxes, response.boxes, response.boxes.dtype)
        ranks = voting.rerank_by_overlap(response.ranks, response.boxes, last)

        # (K, T): the best of them vote, and the very best is where the object is
        best = largest(ranks, voting.top_k)

        # (K, T, 4) -> (K * T, 5): the regions of the voters
        objects = xp.arange(len(best), device=device(best))
        voters = response.boxes[objects[:, None], best]
        rois = voting.voter_rois(voters, self.search_size)

        # (K * T, M, M): each gives a mask inside its region, and votes with it
        probabilities, places = self._voter_masks(voting, response, best, rois)
        windows = [item.window for item in response.windows]
        masks = voting.vote(probabilities, places, windows, self.search_size, height, width)
        return best[:, 0], masks

    def _voter_masks(
        self, voting: MaskVote, response: SearchResponse, best: Array, rois: Array
    ) -> tuple[Array, Array]:
        """Predict the masks of candidates; here those of their cells, cut to their regions.

        Args:
            voting: the vote.
            response: of the search windows.
            best: (K, T) flat indices of anchors.
            rois: (K * T, 5) their regions.

        Returns:
            Probabilities (K * T, M, M), and (K * T, 5) where they lie: window and corners.
        """
        cells = rpn.anchor_cells(best, self.cells)
        probabilities = self._cell_masks(response.features, cells)

        # (K * T, 5): where the masks of the cells lie in their windows
        xp = array_namespace(cells)
        left, top = mask_corner(cells[:, 1], cells[:, 2])
        right = left + TEMPLATE_SIZE
        bottom = top + TEMPLATE_SIZE
        places = xp.stack([cells[:, 0], left, top, right, bottom], axis=1)
        places = xp.astype(places, xp.float32)
        return voting.cut_to_boxes(probabilities, places, rois), places

    def _min_followed_area(self) -> float | None:
        """The pixels from which on the box of a mask is followed; None where the anchor's is."""
        follow_mask = self.follow_mask
        if follow_mask is None:
            follow_mask = self.voting is not None
        if not follow_mask:
            return None
        return MIN_AREA if self.voting is None else self.voting.min_area
