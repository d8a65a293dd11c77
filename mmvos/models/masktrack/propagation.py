"""MaskPropagation: how mask propagation goes from frame to frame, whatever computes its network.

Perazzi et al., Learning Video Object Segmentation from Static Images (MaskTrack), CVPR 2017: the
mask of frame t-1 guides a network that segments frame t. Each object is seen in a square around its
guide, all objects in one batch. This file is the way through a video: squares, guides, lost
objects, and the state in which these go from frame to frame. The first frame and the last one are
remembered (Oh et al., RGMP, CVPR 2018; STM, ICCV 2019), and frames in which a user gave the object
again; their number is bounded, so memory does not grow with the video. `MaskPropagator` adds a
network in torch and its training, `mmvos.onnx` one that onnxruntime computes. Arrays are torch's or
numpy's; nothing here imports torch.

K objects, B images, H x W the padded frame, S x S the size of a square, L levels of features, P
clicks. Probabilities are in [0, 1], guides in [-1, 1] (+1 object, -1 background, 0 unknown). A
square is an int64 row x, y, side; see ``mmvos.ops.crop``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mmvos.ops.arrays import (
    Array,
    array_like,
    array_namespace,
    device,
    fetch,
    is_on_host,
    pad_maps,
    select,
)
from mmvos.ops.crop import crop_squares, draw_clicks, paste_squares, squares_around
from mmvos.ops.optical_flow import take_view
from mmvos.structures import Frame

from ..carried_objects import Kept, find_carried, join_kept
from ..tracked_objects import PromptedObjects, PromptKind
from .idle_objects import find_idle, take_looks
from .state import (
    LastLook,
    Memory,
    PropagationState,
    box_changes,
    box_with_points,
    boxes_of_masks,
    check_size,
    disks_at_points,
    gather_memories,
    group_by_size,
    guide_boxes,
    limit_change,
    search_boxes,
    square_around_points,
    with_memories,
    with_prompted_frame,
)

MIN_SIDE = 32  # pixels of the smallest square
MAX_SIDE_RATIO = 1.2  # largest square over the frame's longer side
POINT_RADIUS = 8  # pixels around a point that are the object where nothing is found
LOST_GUIDE_FADE = 0.5  # of a lost object's guide from frame to frame, towards 0, unknown
MAX_FADE_STEPS = 30  # frames after which it fades no more: it is 1e-9, and keeps its signs

Levels = tuple[Array, ...]
States = tuple[PropagationState, ...]


class MaskPropagation(ABC):
    """Base of the mask propagators; a child gives the settings and the network.

    Attributes:
        size: S.
        calm_size: S of objects that move little; None: as of all others.
        idle_change: of a color, above which an idle object is computed; None: all are, always.
        computed_objects: in a frame, where the motion of the picture carries others; None: all.
        context, box_change, clicks, box_prior, box_passes, min_area_ratio, search_growth: see
            ``MaskPropagator``.
    """

    size: int
    calm_size: int | None
    idle_change: float | None = None
    computed_objects: int | None = None
    context: float
    box_change: float
    clicks: bool
    box_prior: float
    box_passes: int
    min_area_ratio: float
    search_growth: float

    @property
    @abstractmethod
    def reads_memory(self) -> bool:
        """Whether the network reads remembered frames."""

    @abstractmethod
    def _levels(self, images: Array, guides: Array | None) -> Levels:
        """Compute the levels of features of squares.

        Args:
            images: (K, 3, S, S) normalized.
            guides: (K, G, S, S) in [-1, 1].

        Returns:
            L maps (K, C_i, h_i, w_i), fine to coarse.
        """

    @abstractmethod
    def _probabilities(
        self, levels: Levels, guides: Array, memories: list[Memory], weights: Array | None
    ) -> Array:
        """Segment squares.

        Args:
            levels: of ``_levels``.
            guides: (K, G, S, S).
            memories: M of ``_encode_memory``, each (K, ...).
            weights: (K, M), how much each counts; None where all count the same.

        Returns:
            (K, h_0, w_0) in [0, 1].
        """

    @abstractmethod
    def _encode_memory(self, top: Array, masks: Array) -> Memory | None:
        """Encode a frame to be remembered.

        Args:
            top: (K, C, h, w), the coarsest level.
            masks: (K, 1, S, S) in [0, 1].

        Returns:
            Keys (K, A, N) and values (K, V + 1, N); None where no memory is read.
        """

    @property
    def accepts_points(self) -> bool:
        """Whether the guide has a channel for clicks."""
        return self.clicks

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Array, States]:
        """Begin with the objects of a prompt; see ``Tracker.start``.

        A given mask is the answer. Boxes and points are segmented on their own frame; a box, or the
        surroundings of the points, is itself the answer where nothing is found.
        """
        guides = self._segment_prompts(frame, objects)
        # Look at the objects once more, for the features that the commit remembers.
        boxes = guide_boxes(guides)
        squares = self._squares(frame, boxes)
        levels, _ = self._features(frame, squares, guides, self.size)
        top = levels[-1]
        states = []
        for k, object_id in enumerate(objects.ids):
            state = PropagationState(
                id=int(object_id),
                guide=guides[k],
                box=boxes[k],
                is_prompted=True,
                top=top[k],
                square=squares[k],
            )
            states.append(state)
        # 0 in the padding, where the guides are unknown
        height, width = frame.meta.network_shape
        probabilities = (guides[:, :height, :width] + 1) / 2
        return pad_maps(probabilities, tuple(frame.image.shape[2:])), tuple(states)

    def correct(self, known: PropagationState, started: PropagationState) -> PropagationState:
        """Let the new frame join what is remembered; see ``Tracker.correct``."""
        return replace(started, first=known.first, corrections=known.corrections)

    def keep_memory(self, state: PropagationState) -> PropagationState:
        """Keep the memory of the frame in which the object was given."""
        xp = array_namespace(state.guide)
        nothing = xp.zeros((0, 0), dtype=xp.float32, device=device(state.guide))
        return replace(state, guide=nothing, last=None, corrections=(), look=None, view=None)

    def recall(
        self, state: PropagationState, prompted: Sequence[PropagationState]
    ) -> PropagationState:
        """Remember other frames in which the object was given; see ``Tracker.recall``."""
        memories = [item.first for item in prompted if item.first is not None]
        if not memories:
            return state
        return with_memories(state, memories)

    def propagate(self, frame: Frame, states: States) -> tuple[Array, States]:
        """Find the known objects in the next frame; see ``Tracker.propagate``.

        Raises:
            ValueError: the frame has another size than those before it.
        """
        check_size(frame, states)
        # A device computes all squares at once.
        if not is_on_host(frame.image):
            return self._look_for(frame, states)

        # An object that is idle keeps what was found of it.
        kept: dict[int, Kept[PropagationState]] = {}
        if self.idle_change is not None:
            kept = find_idle(states, frame.image, self.idle_change)

        # Of many objects some are computed, and the motion of the picture carries the others.
        view = None
        if self.computed_objects is not None and len(states) > self.computed_objects:
            view = take_view(frame.image)
            kept |= find_carried(frame, view, states, kept, self.computed_objects)

        computed = tuple(state for k, state in enumerate(states) if k not in kept)
        found, looked_for = self._look_for(frame, computed)
        if view is None and not kept:
            return found, looked_for
        return join_kept(len(states), kept, found, looked_for, view)

    def _look_for(self, frame: Frame, states: States) -> tuple[Array, States]:
        """Compute known objects in the next frame; see ``propagate``."""
        xp = array_namespace(frame.image)
        height, width = frame.image.shape[2:]
        if not states:
            nothing = xp.zeros((0, height, width), dtype=xp.float32, device=device(frame.image))
            return nothing, states
        guides = xp.stack([state.guide for state in states])
        all_boxes = search_boxes(states, self.search_growth, height, width)
        squares = self._squares(frame, all_boxes, states)
        answer, tops = self._segment(frame, guides, squares, states)

        # What an object keeps while it is idle.
        looks: list[LastLook | None] = [None] * len(states)
        if self.idle_change is not None and is_on_host(answer):
            looks = take_looks(frame.image, all_boxes, answer)

        # What the commit needs to remember this frame.
        waiting = []
        for k, state in enumerate(states):
            state = replace(state, top=tops[k], square=squares[k], view=None, frames_carried=0)
            waiting.append(replace(state, look=looks[k]))
        return answer, tuple(waiting)

    def commit(self, states: States, merged: Array) -> States:
        """Take over what was decided about a frame; see ``Tracker.commit``.

        The merged mask of an object that is seen guides the next frame. One of which too little is
        left (``is_seen``) is lost: it keeps its last guide, which fades towards unknown, its last
        box, around which ``propagate`` looks farther from frame to frame, and what it remembers.
        """
        if not states:
            return states
        # What is decided on the host: of each object its mask, and whether it is seen.
        masks, seen = fetch(merged > 0.5, self.is_seen(states, merged))
        return self.commit_seen(states, merged, masks, seen)

    def commit_seen(
        self, states: States, merged: Array, masks: NDArray[np.bool_], seen: NDArray[np.bool_]
    ) -> States:
        """Take over what was decided about a frame, where its masks are already on the host.

        Args:
            states, merged: see ``commit``; there is at least one.
            masks: (K, H, W), where ``merged`` is above .5.
            seen: (K,), from ``is_seen``.
        """
        # Remember the frame with its merged masks: keys and values of each object.
        xp = array_namespace(merged)
        memories = self._remember(states, merged)

        # (K, 4): the new boxes change slowly, those of objects that come back may change more.
        frames = [1 + state.frames_lost for state in states]
        rates = array_like([self.box_change * count for count in frames], merged)
        last_boxes = xp.stack([state.box for state in states])
        found_boxes = boxes_of_masks(masks, merged)
        boxes = limit_change(found_boxes, last_boxes, rates[:, None])
        changes: list[float | None] = [None] * len(states)
        # A device, which computes all squares at once, is not asked.
        if is_on_host(found_boxes):
            changes = box_changes(states, found_boxes, last_boxes)

        committed = []
        for k, state in enumerate(states):
            now = memories[k]
            state = with_prompted_frame(state, now)
            state = replace(state, top=None, square=None, change=changes[k])
            if seen[k]:
                guide = 2 * merged[k] - 1
                last = now or state.last
                state = replace(state, guide=guide, box=boxes[k], last=last, frames_lost=0)
            else:
                # A frame in which it is not seen is not remembered, but for its first one.
                guide = state.guide
                if state.frames_lost < MAX_FADE_STEPS:
                    guide = guide * LOST_GUIDE_FADE
                state = replace(
                    state,
                    guide=guide,
                    last=state.last or now,
                    frames_lost=state.frames_lost + 1,
                    change=None,
                )
            committed.append(state)
        return tuple(committed)

    def _segment_prompts(self, frame: Frame, objects: PromptedObjects) -> Array:
        """Turn the priors of a prompt into guides (K, H, W), by the masks that are found in
        them.
        """
        priors = objects.mask_priors
        numbers = [k for k, is_mask in enumerate(objects.is_mask) if not is_mask]
        if not numbers:
            return priors
        xp = array_namespace(priors)
        kinds = [objects.kinds[k] for k in numbers]
        points = None if objects.points is None else objects.points[numbers]
        guides = priors[numbers]
        for k, kind in enumerate(kinds):
            if kind is PromptKind.BOX:
                guides[k] = xp.where(guides[k] > 0, guides[k] * self.box_prior, guides[k])

        # First look: around the box or the mask to be corrected, or, where only points tell of the
        # object, in a large square around them.
        boxes = guide_boxes(guides)
        squares = self._squares(frame, boxes)
        if points is not None:
            for k, kind in enumerate(kinds):
                is_empty = not bool((guides[k] > 0).any())
                if is_empty:
                    squares[k] = square_around_points(points[k], *frame.meta.network_shape)
                elif kind is PromptKind.CORRECTION:
                    boxes[k] = box_with_points(boxes[k], points[k])
                    squares[k] = self._squares(frame, boxes[k : k + 1])[0]

        # Segment, and look again around what was found, guided by it.
        for _ in range(self.box_passes):
            answer, _ = self._segment(frame, guides, squares, points=points)
            is_found = xp.any(answer > 0.5, axis=(1, 2), keepdims=True)
            guides = xp.where(is_found, 2 * answer - 1, guides)
            squares = self._squares(frame, guide_boxes(guides))
        # Where points found nothing, their surroundings are the object.
        for k in range(len(guides)):
            if points is not None and not bool((guides[k] > 0).any()):
                guides[k] = disks_at_points(points[k], guides[k], POINT_RADIUS)
        found = xp.asarray(priors, copy=True)
        found[numbers] = guides
        return found

    def is_seen(self, states: States, merged: Array) -> Array:
        """Say of each object whether enough is left of its merged mask (K, H, W): (K,) bool."""
        height, width = merged.shape[1:]
        xp = array_namespace(merged)
        areas = xp.sum(merged > 0.5, axis=(1, 2))
        last_areas = xp.stack([xp.sum(state.guide > 0) for state in states])
        # Half of the last mask is enough, and so is a certain share of the padded frame. The guide
        # of a lost object fades but keeps its signs, so its area stays that of its last mask.
        least = xp.where(last_areas > 0, last_areas / 2, xp.inf)
        least = xp.clip(least, None, self.min_area_ratio * height * width)
        return areas >= least

    def _segment(
        self,
        frame: Frame,
        guides: Array,
        squares: Array,
        states: States = (),
        points: Array | None = None,
    ) -> tuple[Array, list[Array]]:
        """Segment objects in squares.

        Args:
            frame: with the objects.
            guides: (K, H, W).
            squares: (K, 3).
            states: K, with what is remembered; none where the objects are seen for the first time.
            points: (K, P, 3), clicks.

        Returns:
            Probabilities (K, H, W), and of each object the coarsest level (C, h, w) of its square.
        """
        xp = array_namespace(guides)
        count = len(squares)
        found: list[Array] = [None] * count
        tops: list[Array] = [None] * count
        for size, numbers in group_by_size(states, count, self.size, self.calm_size):
            # The head reads the first and the last frame of each object, and its corrections.
            memories: list[Memory] = []
            weights = None
            if states and self.reads_memory:
                memories, weights = gather_memories([states[k] for k in numbers])
            clicks = None if points is None else select(points, numbers)
            own_squares = select(squares, numbers)
            own_guides = select(guides, numbers)
            levels, crops = self._features(frame, own_squares, own_guides, size, clicks)
            probabilities = self._probabilities(levels, crops, memories, weights)
            pasted = paste_squares(probabilities, own_squares, *frame.meta.network_shape)
            for index, k in enumerate(numbers):
                found[k] = pasted[index]
                tops[k] = levels[-1][index]
        # (K, H, W), in the order of the objects
        answer = pasted if len(pasted) == count else xp.stack(found)
        return pad_maps(answer, tuple(frame.image.shape[2:])), tops

    def _remember(self, states: States, merged: Array) -> list[Memory | None]:
        """Encode a frame with the merged masks (K, H, W): keys and values of each object that is
        not idle.
        """
        xp = array_namespace(merged)
        remembered: list[Memory | None] = [None] * len(states)
        for size, group in group_by_size(states, len(states), self.size, self.calm_size):
            # Those that were computed in this frame.
            numbers = [k for k in group if states[k].top is not None]
            if not numbers:
                continue

            # Their masks, in the squares that the features are of.
            squares = xp.stack([states[k].square for k in numbers])
            crops = crop_squares(merged[:, None], numbers, squares, size)
            tops = xp.stack([states[k].top for k in numbers])
            memory = self._encode_memory(tops, crops)
            if memory is None:
                continue

            # copies, because one object may keep its own for longer than the others
            keys, values = memory
            for index, k in enumerate(numbers):
                own_keys = xp.asarray(keys[index], copy=True)
                own_values = xp.asarray(values[index], copy=True)
                remembered[k] = (own_keys, own_values)
        return remembered

    def _features(
        self,
        frame: Frame,
        squares: Array,
        guides: Array,
        size: int,
        points: Array | None = None,
    ) -> tuple[Levels, Array]:
        """Encode squares of a frame; guides are 0 outside the frame and in its padding."""
        height, width = frame.meta.network_shape
        index = [0] * len(squares)
        return self._encode(frame.image, index, squares, guides[:, :height, :width], size, points)

    def _squares(self, frame: Frame, boxes: Array, states: States = ()) -> Array:
        """Draw squares (K, 3) around boxes (K, 4) of known objects, or of new ones."""
        max_side = round(MAX_SIDE_RATIO * max(frame.meta.network_shape))
        context: Array | float = self.context
        if states and self.calm_size is not None and is_on_host(boxes):
            # In a smaller square an object has as many of the network's pixels.
            contexts = []
            for state in states:
                share = 1.0
                if state.is_calm:
                    share = self.calm_size / self.size
                contexts.append(self.context * share)
            context = array_like(contexts, boxes)
        return squares_around(boxes, context, MIN_SIDE, max_side)

    def _encode(
        self,
        images: Array,
        index: Sequence[int],
        squares: Array,
        guides: Array,
        size: int,
        clicks: Array | None = None,
    ) -> tuple[Levels, Array]:
        """Compute the features of squares: the images are cut, and guided at the stem.

        Args:
            images: (B, 3, H, W).
            index: of each square its image.
            squares: (K, 3).
            guides: (K, H, W).
            size: S.
            clicks: (K, P, 3) rows x, y, sign in frame pixels; sign 0 is none.

        Returns:
            L levels (K, C, S / stride, S / stride), and the guides; see ``_crop_guides``.
        """
        crops = self._crop_guides(guides, squares, size, clicks)
        pictures = crop_squares(images, index, squares, size)
        return self._levels(pictures, crops), crops

    def _crop_guides(self, guides: Array, squares: Array, size: int, clicks: Array | None) -> Array:
        """Cut guides (K, H, W) to (K, 1, S, S), or (K, 2, S, S) with a channel of clicks."""
        crops = crop_squares(guides[:, None], range(len(guides)), squares, size)
        if not self.clicks:
            return crops
        xp = array_namespace(crops)
        drawn = xp.zeros_like(crops)
        if clicks is not None:
            drawn = draw_clicks(clicks, squares, size)
        return xp.concat([crops, drawn], axis=1)
