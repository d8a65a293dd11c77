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
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.ops.crop import crop_squares, paste_squares, square_rois, squares_around
from mmvos.ops.masks import pad_maps
from mmvos.ops.roi_align import roi_align
from mmvos.registry import MODELS
from mmvos.structures import Frame, GuideKind

from ..tracker import PromptedObjects, TrackedState, Tracker
from .mask_priors import draw_clicks, grow_box, guide_boxes, limit_change
from .training_clips import TrainingClips

Levels = tuple[Tensor, ...]
Memory = tuple[Tensor, Tensor]

TRAIN_BOX_CHANGE = 0.15  # ``box_change`` in training, whose frames are farther apart
CLICK_CONTEXT = (1.3, 4.0)  # ``train_context`` where clicks alone tell of the object
TRAIN_SHIFT = 0.3  # range of a training square's shift, over the object's longer side
MIN_SIDE = 32  # pixels of the smallest square
MAX_SIDE_RATIO = 1.2  # largest square over the frame's longer side
MAX_GROWTH_STEPS = 50  # frames after which the square of a lost object grows no more


@dataclass(frozen=True, kw_only=True)
class PropagationState(TrackedState):
    """What is known of one object between two frames.

    Attributes:
        guide: (H, W), the mask prior of the next frame.
        box: (4,) xyxy, where the object was when it was last seen.
        lost: for how many frames it has not been seen.
        first, last: keys and values of the frame in which it was given, and of the last one in
            which it was seen; None where the head reads no memory.
        top, square: of the frame that waits for its commit, the coarsest features (C, h, w) and the
            square (3,) they are of.
    """

    guide: Tensor
    box: Tensor
    lost: int = 0
    first: Memory | None = None
    last: Memory | None = None
    top: Tensor | None = None
    square: Tensor | None = None


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
        box_passes: how often the net goes over the frame of a box prompt, each time guided by its
            last answer.
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

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, States]:
        """Begin with the objects of a prompt; see ``Tracker.start``.

        A given mask is the answer. A box is segmented on its own frame, and is itself the answer
        where nothing is found in it.
        """
        guides = self._segment_boxes(frame, objects.mask_priors, objects.is_mask)
        # Look at the objects once more, for the features that the commit remembers.
        boxes = guide_boxes(guides)
        squares = self._squares(frame, boxes)
        levels, _ = self._features(frame, squares, guides)
        top = levels[-1]
        states = []
        for k, object_id in enumerate(objects.ids):
            state = PropagationState(
                id=int(object_id), guide=guides[k], box=boxes[k], top=top[k], square=squares[k]
            )
            states.append(state)
        # 0 in the padding, where the guides are unknown
        height, width = frame.meta.network_shape
        probabilities = (guides[:, :height, :width] + 1) / 2
        return pad_maps(probabilities, tuple(frame.image.shape[2:])), tuple(states)

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
        # The head reads the first and the last frame of each object.
        memories = []
        if self.head.reference:
            memories.append(_stack([state.first for state in states]))
            memories.append(_stack([state.last for state in states]))
        guides = torch.stack([state.guide for state in states])
        answer, levels, squares = self._segment(frame, guides, torch.stack(boxes), memories)
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
            state = replace(state, top=None, square=None, first=state.first or now)
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
            boxes = self._training_boxes(guide, boxes if t > 0 else None, clips, t)
            squares = self._training_squares(boxes, kinds[:, t], max(guide.shape[1:]))

            # Segment the squares.
            shared = self._levels(inputs[:, t], None) if shares_features else None
            clicks = None if clips.clicks is None else clips.clicks[:, t]
            levels, crops = self._encode(
                inputs[:, t], shared, clips.clip_index, squares, guide, self.train_size, clicks
            )
            frame_logits = self.head(levels, crops, self._choose_memories(memories))
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

    def _segment_boxes(self, frame: Frame, priors: Tensor, is_mask: Sequence[bool]) -> Tensor:
        """Turn the priors (K, H, W) of boxes into guides, by the masks that are found in them."""
        numbers = [k for k, given in enumerate(is_mask) if not given]
        if not numbers:
            return priors
        boxed = torch.tensor(numbers, device=priors.device)
        guides = priors[boxed]
        guides = torch.where(guides > 0, guides * self.box_prior, guides)
        for _ in range(self.box_passes):
            answer, _, _ = self._segment(frame, guides, guide_boxes(guides), [])
            is_found = (answer > 0.5).flatten(1).any(dim=1)[:, None, None]
            guides = torch.where(is_found, 2 * answer - 1, guides)
        return priors.index_copy(0, boxed, guides)

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
        self, frame: Frame, guides: Tensor, boxes: Tensor, memories: list[Memory]
    ) -> tuple[Tensor, Levels, Tensor]:
        """Segment objects in squares around boxes.

        Returns:
            Probabilities (K, H, W), the features they come from, and the squares (K, 3).
        """
        squares = self._squares(frame, boxes)
        levels, crops = self._features(frame, squares, guides)
        logits = self.head(levels, crops, memories)
        answer = self._paste(logits, squares, *frame.meta.network_shape)
        return pad_maps(answer, tuple(frame.image.shape[2:])), levels, squares

    def _features(self, frame: Frame, squares: Tensor, guides: Tensor) -> tuple[Levels, Tensor]:
        """Encode squares of a frame; guides are 0 outside the frame and in its padding."""
        height, width = frame.meta.network_shape
        shared = None
        if self.mode == 'roi':
            shared = frame.features(self, lambda image: self._levels(image, None))
        index = [0] * len(squares)
        return self._encode(
            frame.image, shared, index, squares, guides[:, :height, :width], self.size
        )

    def _squares(self, frame: Frame, boxes: Tensor) -> Tensor:
        """Draw squares (K, 3) around boxes (K, 4)."""
        max_side = round(MAX_SIDE_RATIO * max(frame.meta.network_shape))
        return squares_around(boxes, self.context, MIN_SIDE, max_side)

    @staticmethod
    def _training_boxes(
        guide: Tensor, last_boxes: Tensor | None, clips: TrainingClips, t: int
    ) -> Tensor:
        """Find the boxes (K, 4) of the guides (K, H, W) of frame t, which change slowly."""
        boxes = guide_boxes(guide)
        if last_boxes is not None:
            boxes = limit_change(boxes, last_boxes, TRAIN_BOX_CHANGE)
        # A click does not tell the size: its square is drawn around the object itself.
        for k in (clips.kinds[:, t] == GuideKind.CLICKS).nonzero().flatten().tolist():
            boxes[k] = guide_boxes(2.0 * clips.masks[k : k + 1, t] - 1)[0]
        return boxes

    def _training_squares(self, boxes: Tensor, kinds: Tensor, frame_side: int) -> Tensor:
        """Draw squares (K, 3) of random context around boxes (K, 4), a little off the center.

        Args:
            boxes: (K, 4).
            kinds: (K,) of the guides.
            frame_side: longer side of the frame.
        """
        contexts = [self.train_context] * len(boxes)
        for k in (kinds == GuideKind.CLICKS).nonzero().flatten().tolist():
            contexts[k] = CLICK_CONTEXT
        low, high = boxes.new_tensor(contexts).unbind(dim=1)
        context = low + (high - low) * torch.rand(len(boxes), device=boxes.device)
        longer_side = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True)
        draws = torch.rand(len(boxes), 2, device=boxes.device)
        shift = (draws - 0.5) * TRAIN_SHIFT * longer_side
        max_side = round(MAX_SIDE_RATIO * frame_side)
        return squares_around(boxes + shift.repeat(1, 2), context, MIN_SIDE, max_side)

    @staticmethod
    def _choose_memories(memories: list[Memory]) -> list[Memory]:
        """Choose the first and the last remembered frame, and now and then one between them."""
        if not memories:
            return []
        if len(memories) > 2 and bool(torch.rand(()) < 0.5):
            return [memories[0], memories[len(memories) // 2], memories[-1]]
        return [memories[0], memories[-1]]

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


def _stack(memories: Sequence[Any]) -> Memory:
    """Stack the memories of K objects."""
    keys, values = zip(*memories, strict=True)
    return torch.stack(keys), torch.stack(values)
