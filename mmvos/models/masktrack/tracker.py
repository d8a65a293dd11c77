"""MaskPropagator: carries the masks of given objects from frame to frame.

Perazzi et al., Learning Video Object Segmentation from Static Images (MaskTrack), CVPR 2017: the
mask of frame t-1 guides a network that segments frame t. Each object is seen in a square around its
guide, all objects in one batch: in mode 'crop' the square is cut out of the image, and the guide
enters the backbone's stem; in mode 'roi' it is cut out of features of the whole frame, which the
objects share. K objects, H x W the network's frame, S x S the size of a square; probabilities are
in [0, 1], guides in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.crop import crop_squares, paste_squares, square_rois, squares_around
from mmvos.ops.roi_align import roi_align
from mmvos.registry import MODELS
from mmvos.structures import Frame

from ..tracker import PromptedObjects, TrackedState, Tracker
from .mask_priors import grow_box, guide_boxes, limit_change

Levels = tuple[Tensor, ...]
Memory = tuple[Tensor, Tensor]
EXACT, DEFORMED, BOX, AWAY, POINTS = range(5)  # kinds of guides in training
# Context of squares in training where clicks alone tell of the object.
POINT_CONTEXT = (1.3, 4.0)
TRAIN_CHANGE = 0.15  # ``box_change`` in training, whose frames are farther apart
# share of the frame below which an object is lost; a small one is when half of it is gone
LEAST_AREA = 1e-4
GROWTH = 1.2  # of the square from frame to frame in which a lost object is looked for


@dataclass(frozen=True, kw_only=True)
class PropagationState(TrackedState):
    """What is known of one object between two frames.

    Attributes:
        guide: (H, W), 0 = unknown.
        box: (4,) xyxy, where it was when it was last seen.
        lost: for how many frames it has not been seen.
        first, last: keys and values of the frame in which it was given and of the last one; None
            where the head reads no memory.
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
    ) -> None:
        super().__init__()
        if mode not in ('crop', 'roi'):
            raise ValueError(f"mode must be 'crop' or 'roi', not {mode!r}")
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        self.neck_inputs = len(self.neck.in_channels) if self.neck else 0
        self.head = MODELS.build(head)
        self.strides = tuple(strides)
        self.mode, self.size, self.context, self.box_passes = mode, size, context, box_passes
        self.box_change = box_change
        self.train_size, self.train_context = train_size, train_context
        self.rollout, self.roi_ratio = rollout, roi_ratio
        self.clicks, self.box_prior = clicks, box_prior

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, States]:
        """Begin with the objects of a prompt; see ``Tracker.start``.

        A given mask is the answer. A box is segmented on its own frame, and is itself the answer
        where nothing is found in it.
        """
        guides = objects.mask_priors
        boxed = torch.tensor(
            [k for k, is_mask in enumerate(objects.is_mask) if not is_mask],
            dtype=torch.long,
            device=guides.device,
        )
        if len(boxed):
            priors = guides[boxed]
            guides = guides.index_copy(
                0, boxed, torch.where(priors > 0, priors * self.box_prior, priors)
            )
        for _ in range(self.box_passes if len(boxed) else 0):
            answer, _, _ = self._segment(frame, guides[boxed], guide_boxes(guides[boxed]), [])
            found = (answer > 0.5).flatten(1).any(dim=1)[:, None, None]
            guides = guides.index_copy(0, boxed, torch.where(found, 2 * answer - 1, guides[boxed]))
        around = guide_boxes(guides)
        squares = self._squares(frame, around)
        levels, _ = self._look(frame, squares, guides)
        states = tuple(
            PropagationState(id=int(i), guide=guide, box=box, top=top, square=square)
            for i, guide, box, top, square in zip(
                objects.ids, guides, around.unbind(), levels[-1], squares, strict=True
            )
        )
        height, width = frame.meta.network_shape
        return _padded((guides[:, :height, :width] + 1) / 2, tuple(frame.image.shape[2:])), states

    def propagate(self, frame: Frame, states: States) -> tuple[Tensor, States]:
        """Probabilities (K, H, W) of the objects in the next frame, each against the rest, and the
        states, to be committed.

        Raises:
            ValueError: the frame has another size than those before it.
        """
        if not states:
            return frame.image.new_zeros(0, *frame.image.shape[2:]), states
        (height, width), (h, w) = frame.image.shape[2:], states[0].guide.shape
        if (height, width) != (h, w):
            raise ValueError(
                f'frame {frame.meta.index} is {width}x{height}, but the frames before it are '
                f'{w}x{h}; all frames '
                f'of a video must have the same size'
            )
        memories = []
        if self.head.reference:
            memories = [_stack([s.first for s in states]), _stack([s.last for s in states])]
        guides = torch.stack([s.guide for s in states])
        boxes = torch.stack(
            [
                grow_box(s.box, GROWTH ** min(s.lost, 50), height, width) if s.lost else s.box
                for s in states
            ]
        )
        answer, levels, squares = self._segment(frame, guides, boxes, memories)
        waiting = zip(states, levels[-1], squares, strict=True)
        return answer, tuple(
            replace(state, top=top, square=square) for state, top, square in waiting
        )

    def commit(self, states: States, merged: Tensor) -> States:
        """Takes over what was decided about a frame.

        An object of which nothing is left keeps its last guide, which fades towards unknown; it is
        looked for where it was, in a square that grows.

        Args:
            states: from ``start`` and ``propagate``, together.
            merged: (K, H, W) probabilities after merging.
        """
        if not states:
            return states
        height, width = merged.shape[1:]
        squares = torch.stack([s.square for s in states if s.square is not None])
        crops = crop_squares(merged[:, None], range(len(merged)), squares, self.size)
        memory = self.head.remember(
            [torch.stack([s.top for s in states if s.top is not None])], crops
        )
        rates = merged.new_tensor([self.box_change * (1 + s.lost) for s in states])[:, None]
        boxes = limit_change(
            guide_boxes(2 * merged - 1), torch.stack([s.box for s in states]), rates
        )
        before = torch.stack([(s.guide > 0).sum() for s in states])
        least = torch.where(before > 0, before / 2, torch.inf).clamp(
            max=LEAST_AREA * height * width
        )
        seen = ((merged > 0.5).flatten(1).sum(dim=1) >= least).tolist()
        committed = []
        for k, state in enumerate(states):
            now = None if memory is None else (memory[0][k], memory[1][k])
            state = replace(
                state,
                top=None,
                square=None,
                first=state.first or now,
                last=now if seen[k] else state.last or now,
            )
            if seen[k]:
                state = replace(state, guide=2 * merged[k] - 1, box=boxes[k], lost=0)
            else:
                state = replace(state, guide=state.guide / 2, lost=state.lost + 1)
            committed.append(state)
        return tuple(committed)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses over clips, each frame guided by the given guide or by what was predicted for the
        frame before.

        Args:
            inputs: (B, T, 3, H, W) normalised.
            data_samples: B clips of T frames with ``masks``, ``guides`` and ``guide_kinds`` of the
                same objects.
        """
        index = [
            b for b, sample in enumerate(data_samples) for _ in range(len(sample[0].gt_instances))
        ]
        size = tuple(inputs.shape[-2:])
        masks, guides, kinds, clicks = [], [], [], []
        for sample in data_samples:
            instances = [sample[t].gt_instances for t in range(len(sample))]
            masks.append(
                torch.stack(
                    [
                        _padded(i.masks.to_tensor(torch.uint8, inputs.device), size)
                        for i in instances
                    ],
                    dim=1,
                )
            )
            guides.append(torch.stack([_padded(i.guides, size) for i in instances], dim=1))
            kinds.append(torch.stack([i.guide_kinds for i in instances], dim=1))
            if self.clicks and 'clicks' in instances[0]:
                clicks.append(torch.stack([i.clicks for i in instances], dim=1))
        return self._clip_loss(
            inputs,
            index,
            torch.cat(masks),
            torch.cat(guides),
            torch.cat(kinds),
            torch.cat(clicks) if clicks else None,
        )

    def _clip_loss(
        self,
        inputs: Tensor,
        index: Sequence[int],
        masks: Tensor,
        guides: Tensor,
        kinds: Tensor,
        clicks: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses of K objects.

        Args:
            inputs: (B, T, 3, H, W) normalised.
            index: of each of the K objects its clip.
            masks: (K, T, H, W) in {0, 1}.
            guides: (K, T, H, W).
            kinds: (K, T): ``EXACT`` (nothing to learn, the frame is only remembered), ``DEFORMED``,
                ``BOX``, ``AWAY`` (the object is not where the guide is, and the target is empty).
        """
        shared_features = bool(torch.rand(()) < self.roi_ratio)
        learned, whole = (kinds != EXACT).float(), (kinds != AWAY).float()
        memories: list[Memory] = []
        results: list[tuple[Tensor, Tensor, Tensor]] = []
        answer, boxes = masks[:, 0].float(), masks.new_zeros(len(masks), 4)
        for t in range(inputs.shape[1]):
            known = (
                (learned * whole)[:, t - 1] * whole[:, t] if t else torch.zeros_like(whole[:, 0])
            )
            own = known * (torch.rand(len(masks), device=masks.device) < self.rollout)
            # 0 in the padding
            guide = torch.where(
                own[:, None, None] > 0, (2 * answer - 1) * (guides[:, t] != 0), guides[:, t]
            )
            boxes = (
                limit_change(guide_boxes(guide), boxes, TRAIN_CHANGE) if t else guide_boxes(guide)
            )
            contexts = [self.train_context] * len(masks)
            for k in torch.nonzero(kinds[:, t] == POINTS).flatten().tolist():
                # A click does not tell the size: the square is drawn around the object itself.
                boxes[k] = guide_boxes(2.0 * masks[k : k + 1, t] - 1)[0]
                contexts[k] = POINT_CONTEXT
            squares = self._draw_squares(boxes, max(guide.shape[1:]), contexts)
            stages = self._levels(inputs[:, t], None) if shared_features else None
            levels, crops = self._encode(
                inputs[:, t],
                stages,
                index,
                squares,
                guide,
                self.train_size,
                None if clicks is None else clicks[:, t],
            )
            target = self._crop(masks[:, t], squares) * whole[:, t, None, None, None]
            logits = self.head(levels, crops, self._read_frames(memories))
            results.append((logits, target, learned[:, t]))
            answer = self._paste(logits.detach(), squares, *inputs.shape[-2:])
            if self.head.reference:
                mask = (
                    target
                    if t == 0
                    else torch.where(
                        learned[:, t, None, None, None] > 0, self._crop(answer, squares), target
                    )
                )
                memories.append(self.head.remember(levels, mask))
        losses: dict[str, Tensor] = self.head.loss(
            *(torch.cat(items) for items in zip(*results, strict=True))
        )
        return losses

    def _segment(
        self, frame: Frame, guides: Tensor, boxes: Tensor, memories: list[Memory]
    ) -> tuple[Tensor, Levels, Tensor]:
        """Probabilities (K, H, W), the features they come from, and the squares."""
        squares = self._squares(frame, boxes)
        levels, crops = self._look(frame, squares, guides)
        answer = self._paste(self.head(levels, crops, memories), squares, *frame.meta.network_shape)
        return _padded(answer, tuple(frame.image.shape[2:])), levels, squares

    def _look(self, frame: Frame, squares: Tensor, guides: Tensor) -> tuple[Levels, Tensor]:
        """Features of squares and their guides, which are 0 outside the frame and in its
        padding.
        """
        height, width = frame.meta.network_shape
        shared = (
            None
            if self.mode == 'crop'
            else frame.features(self, lambda image: self._levels(image, None))
        )
        return self._encode(
            frame.image, shared, [0] * len(squares), squares, guides[:, :height, :width], self.size
        )

    def _squares(self, frame: Frame, boxes: Tensor) -> Tensor:
        return squares_around(boxes, self.context, 32, round(1.2 * max(frame.meta.network_shape)))

    @staticmethod
    def _read_frames(memories: list[Memory]) -> list[Memory]:
        """The first and the last remembered frame, and now and then one between them."""
        if len(memories) > 2 and bool(torch.rand(()) < 0.5):
            return [memories[0], memories[len(memories) // 2], memories[-1]]
        return [memories[0], memories[-1]] if memories else []

    def _draw_squares(
        self, boxes: Tensor, side: int, contexts: Sequence[tuple[float, float]]
    ) -> Tensor:
        """Squares of a training frame whose longer side is given, of random context and a little
        off the centre.
        """
        low, high = boxes.new_tensor(contexts).unbind(dim=1)
        context = low + (high - low) * torch.rand(len(boxes), device=boxes.device)
        size = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True)
        shift = (torch.rand(len(boxes), 2, device=boxes.device) - 0.5) * 0.3 * size
        return squares_around(boxes + shift.repeat(1, 2), context, 32, round(1.2 * side))

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
        """Features of squares and their guides (K, 1, S, S), or (K, 2, S, S) with clicks.

        Args:
            images: (B, 3, H, W).
            shared: features of the images to cut from; where there are none, the images are cut and
                guided at the stem.
            index: of each square its image.
            squares: (K, 3).
            guides: (K, H, W).
            size: S.
            clicks: (K, P, 3) rows x, y, sign in frame pixels; sign 0 is none.
        """
        crops = crop_squares(guides[:, None], range(len(guides)), squares, size)
        if self.clicks:
            drawn = (
                torch.zeros_like(crops) if clicks is None else draw_clicks(clicks, squares, size)
            )
            crops = torch.cat([crops, drawn], dim=1)
        if shared is None:
            return self._levels(crop_squares(images, index, squares, size), crops), crops
        rois = square_rois(squares, index)
        return tuple(
            roi_align(level.float(), rois, size // stride, 1 / stride, 1)
            for level, stride in zip(shared, self.strides, strict=True)
        ), crops

    def _levels(self, images: Tensor, guides: Tensor | None) -> Levels:
        """The levels that the head takes, of (B, 3, H, W) images."""
        levels: Levels = self.backbone(images.contiguous(memory_format=torch.channels_last), guides)
        if self.neck is None:
            return levels
        return (*levels[: -self.neck_inputs], *self.neck(levels[-self.neck_inputs :]))

    def _crop(self, masks: Tensor, squares: Tensor) -> Tensor:
        """(K, H, W) masks in training squares: (K, 1, S, S)."""
        return crop_squares(masks[:, None], range(len(masks)), squares, self.train_size)

    @staticmethod
    def _paste(logits: Tensor, squares: Tensor, height: int, width: int) -> Tensor:
        """(K, 1, h, w) logits to probabilities (K, H, W), 0 outside the squares."""
        return paste_squares(logits[:, 0].float().sigmoid(), squares, height, width)


def draw_clicks(clicks: Tensor, squares: Tensor, size: int) -> Tensor:
    """Draw clicks as disks in squares.

    Args:
        clicks: (K, P, 3) rows x, y, sign in frame pixels; sign 0 is none.
        squares: (K, 3).
        size: S.

    Returns:
        (K, 1, S, S) in {-1, 0, 1}; disks have a radius of S / 64.
    """
    scale = size / squares[:, 2:].float()
    centers = (clicks[..., :2] - squares[:, None, :2]) * scale[:, :, None]
    cells = torch.arange(size, device=clicks.device) + 0.5
    across = (cells - centers[..., :1]).square()
    down = (cells - centers[..., 1:]).square()
    inside = down[..., :, None] + across[..., None, :] <= (size / 64) ** 2
    # (K, P, S, S): of clicks that overlap the later ones win.
    drawn = torch.zeros(len(clicks), size, size, device=clicks.device)
    for index in range(clicks.shape[1]):
        sign = clicks[:, index, 2, None, None]
        drawn = torch.where(inside[:, index] & (sign != 0), sign, drawn)
    return drawn[:, None]


def _padded(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """(K, h, w) maps padded with 0 to a batch's size."""
    return F.pad(maps, (0, size[1] - maps.shape[2], 0, size[0] - maps.shape[1]))


def _stack(memories: Sequence[Any]) -> Memory:
    keys, values = zip(*memories, strict=True)
    return torch.stack(keys), torch.stack(values)
