"""PartTracker: parts of an object are followed, and what they say guides the propagation of masks.

Cheng et al., Fast and Accurate Online Video Object Segmentation via Tracking Parts (FAVOS), CVPR
2018; with the reference frame of Oh et al. (RGMP, CVPR 2018), which is the propagator's memory.
Parts are squares on the object's mask. Each has a template, and a siamese matcher looks for it in
the next frame, all parts of all objects in one batch. What the mask showed in a part moves along
with it, and the mean of the parts is the attention that guides the propagator.

Letters for shapes: K objects, P parts of one of them, Q parts of all of them, H x W pixels of the
network's frame, C channels. Boxes are xyxy and places x, y in its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from mmdet.structures import TrackDataSample
from numpy.typing import NDArray
from torch import Tensor

from mmvos.deprecation import accept_old_options
from mmvos.ops.arrays import fetch, is_on_host, to_device
from mmvos.ops.siamese_geometry import STRIDE, Color, search_side, window_around
from mmvos.option_ranges import COUNT, COUNT_OR_ZERO, NOT_NEGATIVE, POSITIVE, SHARE, options_in
from mmvos.registry import MODELS
from mmvos.structures import Frame

from ..masktrack.state import PropagationState
from ..tracker import PromptedObjects, TrackedState, Tracker
from .sampling import sample_parts
from .tracked_parts import (
    Parts,
    blend_prior,
    coverage,
    find_peaks,
    integral_image,
    motion_outliers,
    warp_parts,
)

MIN_CONFIDENCE = 0.8  # mean probability of a mask's pixels for parts to be sampled from it
MIN_COVERAGE = 0.1  # of a part by the object; below it the object has left the part
SAMPLING_SEED = 0


@dataclass(frozen=True, kw_only=True)
class PartState(TrackedState):
    """What is known of one object between two frames.

    Attributes:
        mask: the propagator's state of it.
        parts: its parts that are not lost; None before its first frame is committed.
        frame: the frame that waits for its commit.
    """

    mask: PropagationState
    parts: Parts | None = None
    frame: Frame | None = None


States = tuple[PartState, ...]


@dataclass(frozen=True)
class PartMatches:
    """Where Q parts are found in a frame.

    Attributes:
        places: (Q, 2) the best places.
        scores: (Q,) their scores.
        cells: (Q,) frame pixels of a cell of the matcher.
    """

    places: Tensor
    scores: Tensor
    cells: Tensor


@MODELS.register_module()
@accept_old_options(renamed={'least_score': 'min_score_ratio'}, removed=('sampling',))
@options_in(COUNT, 'parts')
@options_in(SHARE, 'attention', 'window_influence')
@options_in(NOT_NEGATIVE, 'min_score_ratio', 'motion_tolerance')
@options_in(POSITIVE, 'context')
@options_in(COUNT_OR_ZERO, 'resample')
class PartTracker(Tracker[PartState]):
    """Mask propagation guided by tracked parts.

    Args:
        matcher: config of a ``SiameseTracker``, whose templates and scores are used; it is not
            trained here.
        propagator: config of a ``MaskPropagator``.
        parts: how many parts an object has at most.
        attention: 0 is plain propagation, with 1 the parts alone say what is in them; see
            ``blend_prior``.
        min_score_ratio: a part is lost when its score falls below this share of what it has in the
            frame it is from; one that is not found there itself is none.
        window_influence: share of the nearness to a part's last place in the choice of the next.
        motion_tolerance: cells by which a part may always move otherwise than its neighbors.
        context: side of a template's window over that of the part.
        resample: after how many frames, or at once when all are lost, parts are sampled anew from a
            confident mask; 0: never.
        restore: mean and std of the data preprocessor, which turns BGR into RGB, for a matcher that
            takes BGR pixels (``CropFeatures``).
    """

    def __init__(
        self,
        matcher: dict[str, Any],
        propagator: dict[str, Any],
        parts: int = 32,
        attention: float = 0.5,
        min_score_ratio: float = 0.5,
        window_influence: float = 0.2,
        motion_tolerance: float = 1.5,
        context: float = 2.0,
        resample: int = 0,
        restore: dict[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self.matcher = MODELS.build(matcher).requires_grad_(False)
        self.propagator = MODELS.build(propagator)
        # Its guides are already moved, to where the parts are.
        self.propagator.computed_objects = None
        self.parts = parts
        self.attention = attention
        self.min_score_ratio = min_score_ratio
        self.window_influence = window_influence
        self.motion_tolerance = motion_tolerance
        self.context = context
        self.resample = resample
        self.restore = restore

    def train(self, mode: bool = True) -> PartTracker:
        """Set the propagator to training; the matcher stays as it is in testing."""
        super().train(mode)
        self.matcher.eval()
        return self

    @property
    def accepts_points(self) -> bool:
        """Whether the propagator takes points."""
        return bool(self.propagator.accepts_points)

    def correct(self, known: PartState, started: PartState) -> PartState:
        """Join what the propagator knows with the new prompt; see ``Tracker.correct``."""
        return replace(started, mask=self.propagator.correct(known.mask, started.mask))

    def keep_memory(self, state: PartState) -> PartState:
        """Keep what the propagator remembers; see ``Tracker.keep_memory``."""
        return replace(state, mask=self.propagator.keep_memory(state.mask), parts=None)

    def recall(self, state: PartState, prompted: Sequence[PartState]) -> PartState:
        """Replace what the propagator remembers; see ``Tracker.recall``."""
        masks = [item.mask for item in prompted]
        return replace(state, mask=self.propagator.recall(state.mask, masks))

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, States]:
        """Begin with the objects of a prompt; see ``MaskPropagator.start``.

        Their parts are sampled when their first masks are committed.
        """
        probabilities, masks = self.propagator.start(frame, objects)
        states = [PartState(id=mask.id, mask=mask, frame=frame) for mask in masks]
        return probabilities, tuple(states)

    def propagate(self, frame: Frame, states: States) -> tuple[Tensor, States]:
        """Find the known objects in the next frame; see ``Tracker.propagate``.

        Raises:
            ValueError: the frame has another size than those before it.
        """
        # Follow the parts of all objects, without those that are lost.
        followed = self._follow(frame, states)

        # Propagate the masks, guided by what the parts say.
        guided = []
        for state, parts in zip(states, followed, strict=True):
            guided.append(self._attend(state.mask, parts))
        probabilities, masks = self.propagator.propagate(frame, tuple(guided))

        moved = []
        for state, mask, parts in zip(states, masks, followed, strict=True):
            moved.append(replace(state, mask=mask, parts=parts, frame=frame))
        return probabilities, tuple(moved)

    def commit(self, states: States, merged: Tensor) -> States:
        """Take over what was decided about a frame.

        Parts that the object has left are lost, and where they are due new ones are sampled.

        Args:
            states: from ``start`` and ``propagate``, together.
            merged: (K, H, W) probabilities after merging.
        """
        if not states:
            return states
        # (K, H, W), (K,) and (K,): all that is looked at on the host, in one copy
        given = tuple(state.mask for state in states)
        shown, seen, means = fetch(
            merged > 0.5, self.propagator.is_seen(given, merged), self._mean_probabilities(merged)
        )
        masks = self.propagator.commit_seen(given, merged, shown, seen)
        committed = []
        for state, mask, own_mask in zip(states, masks, shown, strict=True):
            state = replace(state, mask=mask)
            committed.append(replace(state, parts=self._drop_uncovered(state, own_mask)))

        # New parts of all objects that need some, in one batch.
        due = [k for k, state in enumerate(committed) if self._is_due(state, means[k])]
        if due:
            frame = committed[due[0]].frame
            assert frame is not None, 'only states that wait for their commit are committed'
            for k, parts in zip(due, self._sample(frame, merged[due], shown[due]), strict=True):
                committed[k] = replace(committed[k], parts=parts)
        return tuple(replace(state, frame=None) for state in committed)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Return the propagator's losses on clips.

        The matcher has a training of its own (``SiameseTracker``) and is frozen here.
        """
        losses: dict[str, Tensor] = self.propagator.loss(inputs, data_samples)
        return losses

    def _follow(self, frame: Frame, states: States) -> list[Parts]:
        """The parts of each object after a frame, without those that are lost."""
        objects = [state.parts for state in states if state.parts is not None]
        assert len(objects) == len(states), 'states are to be committed before the next frame'
        counts = [len(parts) for parts in objects]
        if not sum(counts):
            return [replace(parts, age=parts.age + 1, motion=None) for parts in objects]

        # Match the Q parts of all objects around their last places.
        points = torch.cat([parts.points for parts in objects])
        shifts = torch.cat([parts.shifts for parts in objects])
        sides = torch.cat([parts.sides for parts in objects])
        kernels = torch.cat([parts.kernels for parts in objects])
        colors: list[Color] = []
        for parts in objects:
            colors += [parts.color] * len(parts)
        found = self._match(self._matcher_frame(frame), points + shifts, sides, kernels, colors)
        moves = found.places - points - shifts

        # A part is lost when its score has fallen, when it has left the frame, or when it moves
        # otherwise than the parts around it.
        reference_scores = torch.cat([parts.reference_scores for parts in objects])
        recognized = found.scores >= self.min_score_ratio * reference_scores
        inside = _are_inside(found.places, *frame.meta.network_shape)
        numbers = torch.arange(len(objects))
        numbers = numbers.repeat_interleave(torch.tensor(counts))
        tolerance = self.motion_tolerance * found.cells
        kept = recognized & inside & ~motion_outliers(points, moves, numbers, tolerance)

        followed = []
        for parts, move, keep in zip(objects, moves.split(counts), kept.split(counts), strict=True):
            moved = replace(
                parts, shifts=parts.shifts + move, age=parts.age + 1, motion=_median(move[keep])
            )
            followed.append(moved.select(keep))
        return followed

    def _match(
        self,
        frame: Frame,
        places: Tensor,
        sides: Tensor,
        kernels: Tensor,
        colors: Sequence[Color],
    ) -> PartMatches:
        """Look for Q parts in a frame.

        Args:
            frame: as the matcher takes it.
            places: (Q, 2) the middles of the search windows.
            sides: (Q,) of the template windows.
            kernels: (Q, 3, C, a, a).
            colors: Q of them.
        """
        # (Q, n, n): how much each cell of a search window is the part
        search_size = self.matcher.search_size
        windows = []
        for (x, y), side in zip(places.tolist(), sides.tolist(), strict=True):
            windows.append(window_around((x, y), search_side(side, search_size)))
        scores = self.matcher.objectness(frame, windows, colors, kernels)

        # (Q, 2): the best cell, to a fraction, and its score; read from the device at once
        peaks = fetch(*find_peaks(scores, self.window_influence))
        offsets, best = (torch.from_numpy(item) for item in peaks)

        # in frame pixels
        squares = torch.tensor(windows, dtype=places.dtype)
        corners, window_sides = squares.split((2, 1), dim=1)
        cells = window_sides * (STRIDE / search_size)
        return PartMatches(corners + window_sides / 2 + cells * offsets, best, cells[:, 0])

    def _attend(self, mask: PropagationState, parts: Parts) -> PropagationState:
        """The propagator's state, its guide and its box moved towards where the parts have gone."""
        if parts.motion is None:
            return mask
        # what the mask showed in the parts, where they are now
        shifts = parts.shifts.round().long()
        votes, counts = warp_parts(parts.source_mask, parts.boxes.tolist(), shifts.tolist())
        guide = blend_prior(mask.guide, votes, counts, self.attention)
        motion = (self.attention * parts.motion).repeat(2)
        box = mask.box + to_device(motion, mask.box, motion.dtype)
        # It is guided anew, so it does not keep what was found of it.
        return replace(mask, guide=guide, box=box, look=None)

    @staticmethod
    def _drop_uncovered(state: PartState, mask: NDArray[np.bool_]) -> Parts | None:
        """The parts of an object that it still covers; all of them where it is not seen itself.

        Args:
            state: the object's, its mask committed.
            mask: (H, W), its merged mask.
        """
        parts = state.parts
        if parts is None or not len(parts) or state.mask.frames_lost:
            return parts
        shares = coverage(parts.moved_boxes().numpy(), integral_image(mask))
        kept = torch.from_numpy(shares >= MIN_COVERAGE)
        return parts.select(kept)

    def _mean_probabilities(self, merged: Tensor) -> Tensor:
        """The mean probability of each mask's pixels, of merged masks (K, H, W); 0 where there are
        none, or where it is not asked for.
        """
        if not self.resample:
            return merged.new_zeros(len(merged))
        if is_on_host(merged):
            means = merged.new_zeros(len(merged))
            for k, probability in enumerate(merged):
                pixels = probability[probability > 0.5]
                if len(pixels):
                    means[k] = pixels.mean()
            return means
        is_shown = merged > 0.5
        sums = torch.where(is_shown, merged, 0).sum(dim=(1, 2))
        return sums / is_shown.sum(dim=(1, 2)).clamp(min=1)

    def _is_due(self, state: PartState, mean_probability: float) -> bool:
        """Whether parts are to be sampled from an object's merged mask."""
        parts = state.parts
        if parts is None:
            return True
        if not self.resample or state.mask.frames_lost:
            return False
        if len(parts) and parts.age < self.resample:
            return False
        # only from a mask that is sure of itself
        return bool(mean_probability >= MIN_CONFIDENCE)

    def _sample(self, frame: Frame, probabilities: Tensor, masks: NDArray[np.bool_]) -> list[Parts]:
        """New parts of objects, as far as the matcher finds them where they are.

        Args:
            frame: the frame of the masks.
            probabilities: (N, H, W), the merged masks of N objects.
            masks: (N, H, W), where these are above .5.
        """
        # (Q, 4): squares on the objects' masks
        boxes = []
        for mask in masks:
            boxes.append(sample_parts(mask, self.parts, np.random.default_rng(SAMPLING_SEED)))
        rows = np.concatenate(boxes)

        # Their templates are windows with some context.
        windows = []
        for x1, y1, x2, y2 in rows.tolist():
            side = self.context * max(x2 - x1, y2 - y1)
            windows.append(window_around(((x1 + x2) / 2, (y1 + y2) / 2), side))
        squares = torch.tensor(windows).reshape(-1, 3).long()
        corners, sides = squares.split((2, 1), dim=1)
        points = corners + sides / 2
        sides = sides[:, 0]

        # A part that the matcher does not find where it is cut out is none.
        matcher_frame = self._matcher_frame(frame)
        color = self.matcher.border_color(matcher_frame)
        if windows:
            kernels = self.matcher.encode_templates(matcher_frame, windows, color)
            colors = [color] * len(windows)
            found = self._match(matcher_frame, points, sides, kernels, colors)
            scores = found.scores
            kept = (found.places - points).norm(dim=1) <= found.cells
        else:
            kernels = probabilities.new_zeros(0)
            scores = torch.zeros(0)
            kept = torch.zeros(0, dtype=torch.bool)

        # Each object gets its own.
        part_boxes = torch.from_numpy(rows)
        sampled = []
        first = 0
        for own_boxes, source_mask in zip(boxes, probabilities, strict=True):
            own = slice(first, first + len(own_boxes))
            first += len(own_boxes)
            parts = Parts(
                boxes=part_boxes[own],
                points=points[own],
                sides=sides[own],
                shifts=torch.zeros_like(points[own]),
                kernels=kernels[own],
                reference_scores=scores[own],
                source_mask=source_mask,
                color=color,
            )
            sampled.append(parts.select(kept[own]))
        return sampled

    def _matcher_frame(self, frame: Frame) -> Frame:
        """The frame as the matcher takes it: with the pixels of the image where ``restore`` says
        how they were normalized.
        """
        if self.restore is None:
            return frame
        restored: Frame = frame.features(
            self, lambda image: Frame(self._restored(image), frame.meta)
        )
        return restored

    def _restored(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) RGB normalized -> BGR from 0 to 255."""
        assert self.restore is not None
        mean = to_device(self.restore['mean'], image)[:, None, None]
        deviation = to_device(self.restore['std'], image)[:, None, None]
        return (image * deviation + mean).flip(1)


def _are_inside(places: Tensor, height: int, width: int) -> Tensor:
    """(Q,) whether places (Q, 2) lie in the frame."""
    x, y = places.unbind(dim=1)
    return (x >= 0) & (y >= 0) & (x < width) & (y < height)


def _median(moves: Tensor) -> Tensor | None:
    """The median of moves (P, 2), none of none."""
    if not len(moves):
        return None
    return moves.median(dim=0).values
