"""MaskPropagator: carries the masks of given objects from frame to frame.

Perazzi et al., Learning Video Object Segmentation from Static Images (MaskTrack), CVPR 2017: the
mask of frame t-1 guides a network that segments frame t. Each object is seen in a square around its
guide, all objects in one batch. In mode 'crop' the square is cut out of the image, and the guide
enters the backbone's stem; in mode 'roi' it is cut out of features of the whole frame, which the
objects share.

K objects, B clips of T frames, H x W the padded frame, S x S the size of a square, L levels of
features, P clicks. Probabilities are in [0, 1], guides in [-1, 1] (+1 object, -1 background, 0
unknown). A square is an int64 row x, y, side; see ``mmvos.ops.crop``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.ops.crop import crop_squares, paste_squares, roi_align, square_rois, squares_around
from mmvos.ops.masks import pad_maps
from mmvos.registry import MODELS
from mmvos.structures import Frame, GuideKind

from ..tracker import PromptedObjects, PromptKind, Tracker
from .mask_priors import (
    box_with_points,
    disks_at_points,
    draw_clicks,
    grow_box,
    guide_boxes,
    limit_change,
)
from .state import (
    MAX_CORRECTIONS,
    Memory,
    PropagationState,
    gather_memories,
    with_prompted_frame,
)
from .training_clips import (
    MAX_SIDE_RATIO,
    MIN_SIDE,
    TrainingClips,
    choose_memories,
    training_boxes,
    training_squares,
)

Levels = tuple[Tensor, ...]

POINT_SIDE_RATIO = 0.8  # square in which points are looked at first, over the frame's shorter side
POINT_RADIUS = 8  # pixels around a point that are the object where nothing is found
MAX_GROWTH_STEPS = 50  # frames after which the square of a lost object grows no more


States = tuple[PropagationState, ...]


@MODELS.register_module()
class MaskPropagator(Tracker[PropagationState]):
    """Mask propagation with a guided backbone and a propagation head.

    Args:
        backbone: config of a ``GuidedResNet``.
        head: config of a ``PropagationHead``.
        neck: config of an FPN over the backbone's last levels; without one the head takes the
            backbone's levels.
        strides: of the levels that the head takes.
        mode: 'crop' (best for small objects) or 'roi' (one pass of the backbone for all objects).
        size: S, a multiple of the coarsest stride.
        context: side of a square over the longer side of the guide's box.
        box_change: by which share the width and the height of an object's box change at most from
            frame to frame.
        train_size, train_context: S in training, and the bounds between which the context is drawn.
        rollout: in training, how probably a frame is guided by what was predicted for the frame
            before.
        roi_ratio: share of the training iterations in mode 'roi'.
        clicks: whether the guide has a second channel, in which clicks are disks.
        box_prior: value of the guide inside a box.
        box_passes: how often the net goes over the frame of a prompt by a box or by points, each
            time guided by its last answer.
        min_area_ratio: share of the frame below which an object counts as lost; one that was
            smaller than twice this is lost when half of it is gone.
        search_growth: by which factor the box in which a lost object is looked for grows from frame
            to frame.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        head: dict[str, Any],
        neck: dict[str, Any] | None = None,
        strides: Sequence[int] = (2, 4, 8, 16),
        mode: str = 'crop',
        size: int = 320,
        context: float = 1.8,
        box_change: float = 0.04,
        train_size: int = 256,
        train_context: tuple[float, float] = (1.5, 2.3),
        rollout: float = 0.6,
        roi_ratio: float = 0.0,
        box_passes: int = 2,
        clicks: bool = False,
        box_prior: float = 1.0,
        min_area_ratio: float = 1e-4,
        search_growth: float = 1.2,
    ) -> None:
        super().__init__()
        if mode not in ('crop', 'roi'):
            raise ValueError(f"mode must be 'crop' or 'roi', not {mode!r}")
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        self.neck_inputs = len(self.neck.in_channels) if self.neck else 0
        self.head = MODELS.build(head)
        self.strides = tuple(strides)
        self.mode = mode
        self.size = size
        self.context = context
        self.box_change = box_change
        self.train_size = train_size
        self.train_context = train_context
        self.rollout = rollout
        self.roi_ratio = roi_ratio
        self.box_passes = box_passes
        self.clicks = clicks
        self.box_prior = box_prior
        self.min_area_ratio = min_area_ratio
        self.search_growth = search_growth

    @property
    def accepts_points(self) -> bool:
        """Whether the guide has a channel for clicks."""
        return self.clicks

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, States]:
        """Begin with the objects of a prompt; see ``Tracker.start``.

        A given mask is the answer. Boxes and points are segmented on their own frame; a box, or the
        surroundings of the points, is itself the answer where nothing is found.
        """
        guides = self._segment_prompts(frame, objects)
        # Look at the objects once more, for the features that the commit remembers.
        boxes = guide_boxes(guides)
        squares = self._squares(frame, boxes)
        levels, _ = self._features(frame, squares, guides)
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
        nothing = state.guide.new_zeros(0, 0)
        return replace(state, guide=nothing, last=None, corrections=())

    def recall(
        self, state: PropagationState, prompted: Sequence[PropagationState]
    ) -> PropagationState:
        """Remember other frames in which the object was given; see ``Tracker.recall``."""
        memories = [item.first for item in prompted if item.first is not None]
        if not memories:
            return state
        corrections = tuple(memories[1 : MAX_CORRECTIONS + 1])
        return replace(state, first=memories[0], corrections=corrections)

    def propagate(self, frame: Frame, states: States) -> tuple[Tensor, States]:
        """Find the known objects in the next frame; see ``Tracker.propagate``.

        Raises:
            ValueError: the frame has another size than those before it.
        """
        if not states:
            return frame.image.new_zeros(0, *frame.image.shape[2:]), states
        self._check_size(frame, states[0])
        # An object that is lost is looked for where it was last seen, in a square that grows.
        height, width = frame.image.shape[2:]
        boxes = []
        for state in states:
            box = state.box
            if state.lost:
                factor = self.search_growth ** min(state.lost, MAX_GROWTH_STEPS)
                box = grow_box(box, factor, height, width)
            boxes.append(box)
        # The head reads the first and the last frame of each object, and its corrections.
        memories: list[Memory] = []
        weights = None
        if self.head.reference:
            memories, weights = gather_memories(states)
        guides = torch.stack([state.guide for state in states])
        squares = self._squares(frame, torch.stack(boxes))
        answer, levels = self._segment(frame, guides, squares, memories, weights)
        # Keep what the commit needs to remember this frame.
        waiting = tuple(
            replace(state, top=top, square=square)
            for state, top, square in zip(states, levels[-1], squares, strict=True)
        )
        return answer, waiting

    def commit(self, states: States, merged: Tensor) -> States:
        """Take over what was decided about a frame; see ``Tracker.commit``.

        The merged mask of an object that is seen guides the next frame. One of which nothing is
        left keeps its last guide, which fades towards unknown, and its last box.
        """
        if not states:
            return states
        # Remember the frame with its merged masks: keys and values of each object.
        squares = torch.stack([state.square for state in states if state.square is not None])
        top = torch.stack([state.top for state in states if state.top is not None])
        crops = crop_squares(merged[:, None], range(len(merged)), squares, self.size)
        memory = self.head.encode_memory([top], crops)

        # (K, 4): the new boxes change slowly, those of lost objects may change more.
        rates = merged.new_tensor([self.box_change * (1 + state.lost) for state in states])
        last_boxes = torch.stack([state.box for state in states])
        boxes = limit_change(guide_boxes(2 * merged - 1), last_boxes, rates[:, None])

        seen = self._is_seen(states, merged)
        committed = []
        for k, state in enumerate(states):
            now = None
            if memory is not None:
                keys, values = memory
                now = (keys[k], values[k])
            state = with_prompted_frame(state, now)
            state = replace(state, top=None, square=None)
            if seen[k]:
                guide = 2 * merged[k] - 1
                state = replace(state, guide=guide, box=boxes[k], last=now, lost=0)
            else:
                faded = state.guide / 2
                state = replace(state, guide=faded, last=state.last or now, lost=state.lost + 1)
            committed.append(state)
        return tuple(committed)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Return the losses over clips.

        The net walks through each clip as through a video: a frame is guided by the guide that the
        data set made, or by what was predicted for the frame before.

        Args:
            inputs: (B, T, 3, H, W) normalized.
            data_samples: B clips of T frames; see ``TrainingClips``.
        """
        clips = TrainingClips.stack(inputs, data_samples, self.clicks)
        masks, guides, kinds = clips.masks, clips.guides, clips.kinds
        shares_features = bool(torch.rand(()) < self.roi_ratio)
        # (K, T): which objects are learned in which frame, and are where their guide is
        is_learned = (kinds != GuideKind.GT_MASK).float()
        is_present = (kinds != GuideKind.ABSENT).float()

        memories: list[Memory] = []
        logits, targets = [], []
        answer = masks[:, 0].float()  # (K, H, W), the prediction for the frame before
        boxes = masks.new_zeros(len(masks), 4)
        for t in range(inputs.shape[1]):
            # Guide: the prediction for the frame before, where there is one, or the given guide.
            predicted = torch.zeros_like(is_present[:, 0])
            if t > 0:
                predicted = (is_learned * is_present)[:, t - 1] * is_present[:, t]
            draws = torch.rand(len(masks), device=masks.device)
            guides_itself = predicted * (draws < self.rollout)
            own_guide = (2 * answer - 1) * (guides[:, t] != 0)  # 0 in the padding
            guide = torch.where(guides_itself[:, None, None] > 0, own_guide, guides[:, t])

            # Squares around the guides, of random size and place.
            boxes = training_boxes(guide, boxes if t > 0 else None, clips, t)
            squares = training_squares(boxes, kinds[:, t], max(guide.shape[1:]), self.train_context)

            # Segment the squares.
            shared = self._levels(inputs[:, t], None) if shares_features else None
            clicks = None if clips.clicks is None else clips.clicks[:, t]
            levels, crops = self._encode(
                inputs[:, t], shared, clips.clip_index, squares, guide, self.train_size, clicks
            )
            frame_logits = self.head(levels, crops, choose_memories(memories))
            target = self._crop_masks(masks[:, t], squares) * is_present[:, t, None, None, None]
            logits.append(frame_logits)
            targets.append(target)
            answer = self._paste(frame_logits.detach(), squares, *inputs.shape[-2:])

            # Remember the first frame with its true masks, later ones with the predictions.
            if self.head.reference:
                remembered = target
                if t > 0:
                    own = self._crop_masks(answer, squares)
                    remembered = torch.where(is_learned[:, t, None, None, None] > 0, own, target)
                memories.append(self.head.encode_memory(levels, remembered))
        losses: dict[str, Tensor] = self.head.loss(
            torch.cat(logits), torch.cat(targets), is_learned.T.flatten()
        )
        return losses

    def _segment_prompts(self, frame: Frame, objects: PromptedObjects) -> Tensor:
        """Turn the priors of a prompt into guides (K, H, W), by the masks that are found in
        them.
        """
        priors = objects.mask_priors
        numbers = [k for k, is_mask in enumerate(objects.is_mask) if not is_mask]
        if not numbers:
            return priors
        chosen = torch.tensor(numbers, device=priors.device)
        kinds = [objects.kinds[k] for k in numbers]
        points = None if objects.points is None else objects.points[chosen]
        guides = priors[chosen]
        is_box = torch.tensor([kind is PromptKind.BOX for kind in kinds], device=guides.device)
        in_box = (guides > 0) & is_box[:, None, None]
        guides = torch.where(in_box, guides * self.box_prior, guides)

        # First look: around the box or the mask to be corrected, or, where only points tell of the
        # object, in a large square around them.
        boxes = guide_boxes(guides)
        squares = self._squares(frame, boxes)
        if points is not None:
            for k, kind in enumerate(kinds):
                is_empty = not bool((guides[k] > 0).any())
                if is_empty:
                    squares[k] = self._square_around_points(frame, points[k])
                elif kind is PromptKind.CORRECTION:
                    boxes[k] = box_with_points(boxes[k], points[k])
                    squares[k] = self._squares(frame, boxes[k : k + 1])[0]

        # Segment, and look again around what was found, guided by it.
        for _ in range(self.box_passes):
            answer, _ = self._segment(frame, guides, squares, [], points=points)
            is_found = (answer > 0.5).flatten(1).any(dim=1)[:, None, None]
            guides = torch.where(is_found, 2 * answer - 1, guides)
            squares = self._squares(frame, guide_boxes(guides))
        # Where points found nothing, their surroundings are the object.
        for k in range(len(guides)):
            if points is not None and not bool((guides[k] > 0).any()):
                guides[k] = disks_at_points(points[k], guides[k], POINT_RADIUS)
        return priors.index_copy(0, chosen, guides)

    @staticmethod
    def _square_around_points(frame: Frame, points: Tensor) -> Tensor:
        """Draw the square (3,) in which the points (P, 3) of an object are looked at first."""
        on_object = points[points[:, 2] > 0, :2]
        if not len(on_object):
            on_object = points[points[:, 2] < 0, :2]
        center = on_object.mean(dim=0)
        side = round(POINT_SIDE_RATIO * min(frame.meta.network_shape))
        corner = (center - side / 2).round()
        return torch.cat([corner, corner.new_tensor([side])]).long()

    def _is_seen(self, states: States, merged: Tensor) -> list[bool]:
        """Say of each object whether enough is left of its mask: of merged masks (K, H, W)."""
        height, width = merged.shape[1:]
        areas = (merged > 0.5).flatten(1).sum(dim=1)
        last_areas = torch.stack([(state.guide > 0).sum() for state in states])
        # Half of the last mask is enough, and so is a certain share of the frame.
        least = torch.where(last_areas > 0, last_areas / 2, torch.inf)
        least = least.clamp(max=self.min_area_ratio * height * width)
        return list((areas >= least).tolist())

    def _segment(
        self,
        frame: Frame,
        guides: Tensor,
        squares: Tensor,
        memories: list[Memory],
        weights: Tensor | None = None,
        points: Tensor | None = None,
    ) -> tuple[Tensor, Levels]:
        """Segment objects in squares (K, 3).

        Returns:
            Probabilities (K, H, W), and the features they come from.
        """
        levels, crops = self._features(frame, squares, guides, points)
        logits = self.head(levels, crops, memories, weights)
        answer = self._paste(logits, squares, *frame.meta.network_shape)
        return pad_maps(answer, tuple(frame.image.shape[2:])), levels

    def _features(
        self, frame: Frame, squares: Tensor, guides: Tensor, points: Tensor | None = None
    ) -> tuple[Levels, Tensor]:
        """Encode squares of a frame; guides are 0 outside the frame and in its padding."""
        height, width = frame.meta.network_shape
        shared = None
        if self.mode == 'roi':
            shared = frame.features(self, lambda image: self._levels(image, None))
        index = [0] * len(squares)
        return self._encode(
            frame.image, shared, index, squares, guides[:, :height, :width], self.size, points
        )

    def _squares(self, frame: Frame, boxes: Tensor) -> Tensor:
        """Draw squares (K, 3) around boxes (K, 4)."""
        max_side = round(MAX_SIDE_RATIO * max(frame.meta.network_shape))
        return squares_around(boxes, self.context, MIN_SIDE, max_side)

    def _encode(
        self,
        images: Tensor,
        shared: Levels | None,
        index: Sequence[int],
        squares: Tensor,
        guides: Tensor,
        size: int,
        clicks: Tensor | None = None,
    ) -> tuple[Levels, Tensor]:
        """Compute the features of squares.

        Args:
            images: (B, 3, H, W).
            shared: features of the images to cut from; where there are none, the images are cut and
                guided at the stem.
            index: of each square its image.
            squares: (K, 3).
            guides: (K, H, W).
            size: S.
            clicks: (K, P, 3) rows x, y, sign in frame pixels; sign 0 is none.

        Returns:
            L levels (K, C, S / stride, S / stride), and the guides (K, 1, S, S), or (K, 2, S, S)
            with clicks.
        """
        crops = crop_squares(guides[:, None], range(len(guides)), squares, size)
        if self.clicks:
            drawn = torch.zeros_like(crops)
            if clicks is not None:
                drawn = draw_clicks(clicks, squares, size)
            crops = torch.cat([crops, drawn], dim=1)
        # mode 'crop': squares of the image, guided at the stem
        if shared is None:
            pictures = crop_squares(images, index, squares, size)
            return self._levels(pictures, crops), crops
        # mode 'roi': squares of the features of the whole frame
        rois = square_rois(squares, index)
        levels = tuple(
            roi_align(level.float(), rois, size // stride, 1 / stride, 1)
            for level, stride in zip(shared, self.strides, strict=True)
        )
        return levels, crops

    def _levels(self, images: Tensor, guides: Tensor | None) -> Levels:
        """Compute the levels that the head takes, of (B, 3, H, W) images."""
        images = images.contiguous(memory_format=torch.channels_last)
        levels: Levels = self.backbone(images, guides)
        if self.neck is None:
            return levels
        first = len(levels) - self.neck_inputs
        return (*levels[:first], *self.neck(levels[first:]))

    def _crop_masks(self, masks: Tensor, squares: Tensor) -> Tensor:
        """Cut masks (K, H, W) to training squares (K, 1, S, S)."""
        return crop_squares(masks[:, None], range(len(masks)), squares, self.train_size)

    @staticmethod
    def _paste(logits: Tensor, squares: Tensor, height: int, width: int) -> Tensor:
        """Turn logits (K, 1, h, w) into probabilities (K, H, W), 0 outside the squares."""
        return paste_squares(logits[:, 0].float().sigmoid(), squares, height, width)

    @staticmethod
    def _check_size(frame: Frame, state: PropagationState) -> None:
        height, width = frame.image.shape[2:]
        last_height, last_width = state.guide.shape
        if (height, width) != (last_height, last_width):
            raise ValueError(
                f'frame {frame.meta.index} is {width}x{height}, but the frames before it are '
                f'{last_width}x{last_height}; all frames of a video must have the same size'
            )
