"""PartTracker: follows parts of objects and lets what they say guide the propagation of masks.

Cheng et al., Fast and Accurate Online Video Object Segmentation via Tracking Parts (FAVOS), CVPR
2018; with the reference frame of Oh et al. (RGMP, CVPR 2018), which is the propagator's memory.
Parts are squares on the object's mask. Each has a template, and the siamese matcher looks for it in
the next frame, all parts of all objects in one batch; what the mask showed in a part moves along
with it, and the mean of the parts is the attention that the propagator is guided by. K objects, P
parts of one of them, H x W the network's frame; boxes are xyxy in its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.models.parts.sampling import coverage, sample_parts
from mmvos.models.parts.votes import (
    attended_guide,
    collect_votes,
    find_peaks,
    straying,
)
from mmvos.ops.siamese_geometry import STRIDE, search_side, window_around
from mmvos.registry import MODELS
from mmvos.structures import Frame

from ..tracker import PromptedObjects, TrackedState, Tracker
from ..trackers.mask_propagator import PropagationState

CONFIDENT = 0.8  # mean probability of a mask's pixels from which parts are sampled from it
LEFT_BEHIND = 0.1  # a part that the object covers by less is not on it any more
TOLERANCE = 1.5  # cells by which parts may always move apart


@dataclass(frozen=True)
class Parts:
    """Parts of one object, sampled in one frame.

    Attributes:
        boxes: (P, 4) int64 where they were sampled.
        points: (P, 2) the middles of their templates.
        sides: (P,) int64, of the templates' windows in frame pixels.
        shifts: (P, 2) how far they have moved since.
        kernels: (P, 3, C, a, a) templates.
        own: (P,) the scores that they have in the frame they are from.
        source: (H, W) probabilities that they were sampled from.
        color: what is seen outside the frame.
        age: how many frames ago that was.
        motion: (2,) the median of their moves in the last frame.
    """

    boxes: Tensor
    points: Tensor
    sides: Tensor
    shifts: Tensor
    kernels: Tensor
    own: Tensor
    source: Tensor
    color: tuple[int, int, int]
    age: int = 0
    motion: Tensor | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def only(self, kept: Tensor) -> Parts:
        """Those of a (P,) bool."""
        if bool(kept.all()):
            return self
        return replace(
            self,
            boxes=self.boxes[kept],
            points=self.points[kept],
            sides=self.sides[kept],
            shifts=self.shifts[kept],
            kernels=self.kernels[kept],
            own=self.own[kept],
        )


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


@MODELS.register_module()
class PartTracker(Tracker[PartState]):
    """Mask propagation guided by tracked parts.

    Args:
        matcher: config of a ``SiameseTracker``, of which features, neck and score head are used; it
            is not trained here.
        propagator: config of a ``MaskPropagator``.
        parts: how many parts an object has at most.
        attention: 0 is plain propagation, with 1 the parts alone say what is in them; see
            ``attended_guide``.
        least_score: a part is lost when its score falls below this share of what it has in the
            frame it is from; one that is not found there itself is none.
        window_influence: share of the nearness to a part's last place in the choice of the next.
        context: side of a template's window over that of the part.
        resample: after how many frames, or at once when all are lost, parts are sampled anew from a
            confident mask; 0: never.
        sampling: seed of the sampling.
        restore: mean and std of the data preprocessor, which turns BGR into RGB, for a matcher that
            takes BGR pixels (``CropFeatures``).
    """

    def __init__(
        self,
        matcher: dict[str, Any],
        propagator: dict[str, Any],
        parts: int = 32,
        attention: float = 0.5,
        least_score: float = 0.5,
        window_influence: float = 0.2,
        context: float = 2.0,
        resample: int = 0,
        sampling: int = 0,
        restore: dict[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        if parts < 1 or not 0 <= attention <= 1 or resample < 0:
            raise ValueError(
                f'parts must be at least 1, attention in [0, 1] and resample not negative, not '
                f'{parts}, {attention} '
                f'and {resample}'
            )
        self.matcher = MODELS.build(matcher).requires_grad_(False)
        self.propagator = MODELS.build(propagator)
        self.parts, self.attention, self.least_score = parts, attention, least_score
        self.window_influence, self.context = window_influence, context
        self.resample, self.sampling, self.restore = resample, sampling, restore

    def train(self, mode: bool = True) -> PartTracker:
        """The matcher stays as it is in testing."""
        super().train(mode)
        self.matcher.eval()
        return self

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, States]:
        """Begin with the objects of a prompt; their parts are sampled when their first masks are
        committed. See ``MaskPropagator.start``.
        """
        probabilities, masks = self.propagator.start(frame, objects)
        states = tuple(PartState(id=mask.id, mask=mask, frame=frame) for mask in masks)
        return probabilities, states

    def propagate(self, frame: Frame, states: States) -> tuple[Tensor, States]:
        """Probabilities (K, H, W) of the objects in the next frame, each against the rest, and the
        states, to be committed.

        Raises:
            ValueError: the frame has another size than those before it.
        """
        followed = self._follow(frame, states)
        guided = tuple(
            self._guided(state, parts) for state, parts in zip(states, followed, strict=True)
        )
        probabilities, masks = self.propagator.propagate(frame, guided)
        return probabilities, tuple(
            replace(state, mask=mask, parts=parts, frame=frame)
            for state, mask, parts in zip(states, masks, followed, strict=True)
        )

    def commit(self, states: States, merged: Tensor) -> States:
        """Takes over what was decided about a frame; parts that the object has left are lost, and
        new ones are sampled.

        Args:
            states: from ``start`` and ``propagate``, together.
            merged: (K, H, W) probabilities after merging.
        """
        masks = self.propagator.commit(tuple(state.mask for state in states), merged)
        states = tuple(
            replace(state, mask=mask, parts=self._covered(state, mask, probability))
            for state, mask, probability in zip(states, masks, merged, strict=True)
        )
        due = [k for k, state in enumerate(states) if self._is_due(state, merged[k])]
        frame = states[due[0]].frame if due else None
        sampled = self._sample(frame, merged[due]) if frame is not None else []
        fresh = dict(zip(due, sampled, strict=True))
        return tuple(
            replace(state, parts=fresh.get(k, state.parts), frame=None)
            for k, state in enumerate(states)
        )

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """The propagator's losses on clips; the matcher has a training of its own
        (``SiameseTracker``) and is frozen here.
        """
        losses: dict[str, Tensor] = self.propagator.loss(inputs, data_samples)
        return losses

    def _follow(self, frame: Frame, states: States) -> list[Parts]:
        """The parts of each object after a frame, without those that are lost."""
        parts = [state.parts for state in states if state.parts is not None]
        assert len(parts) == len(states), 'states are to be committed before the next frame'
        sizes = [len(item) for item in parts]
        if not sum(sizes):
            return [replace(item, age=item.age + 1, motion=None) for item in parts]
        points, sides, shifts, kernels, own = (
            torch.cat([getattr(item, name) for item in parts])
            for name in ('points', 'sides', 'shifts', 'kernels', 'own')
        )
        colors = [item.color for item in parts for _ in range(len(item))]
        places, best, cells = self._match(
            self._seen(frame), points + shifts, sides, kernels, colors
        )
        moves = places - points - shifts
        objects = torch.arange(len(parts), device=points.device).repeat_interleave(
            torch.tensor(sizes, device=points.device)
        )
        lost = straying(points, moves, objects, TOLERANCE * cells)
        height, width = frame.meta.network_shape
        inside = (places >= 0).all(dim=1) & (places[:, 0] < width) & (places[:, 1] < height)
        kept = (best >= self.least_score * own) & inside & ~lost
        return [
            replace(
                item, shifts=item.shifts + move, age=item.age + 1, motion=_middle(move[keep])
            ).only(keep)
            for item, move, keep in zip(parts, moves.split(sizes), kept.split(sizes), strict=True)
        ]

    def _match(
        self,
        seen: Frame,
        around: Tensor,
        sides: Tensor,
        kernels: Tensor,
        colors: Sequence[tuple[int, int, int]],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Looks for Q parts in a frame.

        Args:
            seen: the frame as the matcher takes it.
            around: (Q, 2) the middles of the search windows.
            sides, kernels: as in ``Parts``.
            colors: Q of them.

        Returns:
            (Q, 2) the best places, (Q,) their scores, and (Q,) the sides of a cell, in frame
            pixels.
        """
        size = self.matcher.search_size
        windows = [
            window_around((x, y), search_side(side, size))
            for (x, y), side in zip(around.tolist(), sides.tolist(), strict=True)
        ]
        scores = self.matcher.objectness(seen, windows, colors, kernels)
        offsets, best = find_peaks(scores, self.window_influence)
        corners, pixels = torch.tensor(windows, device=around.device, dtype=around.dtype).split(
            (2, 1), dim=1
        )
        cells = pixels * (STRIDE / size)
        return corners + pixels / 2 + cells * offsets, best, cells[:, 0]

    def _guided(self, state: PartState, parts: Parts) -> Any:
        """The propagator's state of an object, its guide and its box moved towards where the parts
        have gone.
        """
        if parts.motion is None:
            return state.mask
        votes, counts = collect_votes(
            parts.source, parts.boxes.tolist(), parts.shifts.round().long().tolist()
        )
        guide = attended_guide(state.mask.guide, votes, counts, self.attention)
        return replace(
            state.mask, guide=guide, box=state.mask.box + (self.attention * parts.motion).repeat(2)
        )

    def _covered(self, state: PartState, mask: Any, probability: Tensor) -> Parts | None:
        """The parts of an object that it still covers; all of them where it is not seen itself."""
        parts = state.parts
        if parts is None or not len(parts) or mask.lost:
            return parts
        boxes = parts.boxes + parts.shifts.round().long().repeat(1, 2)
        share = coverage((probability > 0.5).cpu().numpy(), boxes.cpu().numpy())
        return parts.only(torch.from_numpy(share >= LEFT_BEHIND).to(boxes.device))

    def _is_due(self, state: PartState, probability: Tensor) -> bool:
        """Whether parts are to be sampled from an object's mask (H, W)."""
        parts = state.parts
        if parts is None:
            return True
        if not self.resample or (len(parts) and parts.age < self.resample) or state.mask.lost:
            return False
        inside = probability[probability > 0.5]
        return bool(len(inside)) and float(inside.mean()) >= CONFIDENT

    def _sample(self, frame: Frame, probabilities: Tensor) -> list[Parts]:
        """New parts, as far as the matcher finds them where they are, of N objects whose masks (N,
        H, W) in a frame are known.
        """
        seen = self._seen(frame)
        color = self.matcher.features.border_color(seen)
        masks = (probabilities > 0.5).cpu().numpy()
        boxes = [
            sample_parts(mask, self.parts, np.random.default_rng(self.sampling)) for mask in masks
        ]
        sizes, rows = [len(item) for item in boxes], np.concatenate(boxes)
        windows = [
            window_around(((x1 + x2) / 2, (y1 + y2) / 2), self.context * max(x2 - x1, y2 - y1))
            for x1, y1, x2, y2 in rows.tolist()
        ]
        corners, sides = (
            torch.tensor(windows, device=probabilities.device)
            .reshape(-1, 3)
            .long()
            .split((2, 1), dim=1)
        )
        points, sides = corners + sides / 2, sides[:, 0]
        kernels = own = probabilities.new_zeros(0)
        found = torch.zeros(0, dtype=torch.bool, device=points.device)
        if windows:
            colors = [color] * len(windows)
            kernels = self.matcher.encode_templates(seen, windows, color)
            places, own, cells = self._match(seen, points, sides, kernels, colors)
            found = (places - points).norm(dim=1) <= cells
        split = zip(
            torch.from_numpy(rows).to(points.device).split(sizes),
            points.split(sizes),
            sides.split(sizes),
            kernels.split(sizes),
            own.split(sizes),
            found.split(sizes),
            probabilities,
            strict=True,
        )
        return [
            Parts(box, point, side, torch.zeros_like(point), kernel, score, source, color).only(
                keep
            )
            for box, point, side, kernel, score, keep, source in split
        ]

    def _seen(self, frame: Frame) -> Frame:
        """The frame as the matcher takes it."""
        if self.restore is None:
            return frame
        mean, deviation = (
            frame.image.new_tensor(self.restore[name])[:, None, None] for name in ('mean', 'std')
        )
        seen: Frame = frame.features(
            self, lambda image: Frame((image * deviation + mean).flip(1), frame.meta)
        )
        return seen


def _middle(moves: Tensor) -> Tensor | None:
    """The median of moves (P, 2), none of none."""
    return moves.median(dim=0).values if len(moves) else None
