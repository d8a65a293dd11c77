"""MaskPropagator: the network of mask propagation in torch, and its training.

`MaskPropagation` says how a video is gone through; a frame begins there, in ``propagate``.

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
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.ops.crop import crop_squares, paste_squares, roi_align, square_rois
from mmvos.option_ranges import (
    COUNT,
    COUNT_OR_ZERO,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Range,
    options_in,
)
from mmvos.registry import MODELS
from mmvos.structures import Frame, GuideKind

from ..tracker import Tracker
from .propagation import MaskPropagation
from .state import Memory, PropagationState
from .training_clips import TrainingClips, choose_memories, training_boxes, training_squares

Levels = tuple[Tensor, ...]


@MODELS.register_module()
@options_in(COUNT, 'strides', 'size', 'calm_size', 'computed_objects', 'train_size')
@options_in(POSITIVE, 'context', 'train_context')
@options_in(NOT_NEGATIVE, 'box_change', 'idle_change')
@options_in(SHARE, 'rollout', 'roi_ratio', 'min_area_ratio')
@options_in(COUNT_OR_ZERO, 'box_passes')
@options_in(Range(0, 1, has_low=False), 'box_prior')
@options_in(Range(1), 'search_growth')
class MaskPropagator(MaskPropagation, Tracker[PropagationState]):
    """Mask propagation with a guided backbone and a propagation head.

    Args:
        backbone: config of a ``GuidedResNet``.
        head: config of a ``PropagationHead``.
        neck: config of an FPN over the backbone's last levels; without one the head takes the
            backbone's levels.
        strides: of the levels that the head takes.
        mode: 'crop' (best for small objects) or 'roi' (one pass of the backbone for all objects).
        size: S, a multiple of the coarsest stride.
        calm_size: S of objects that move little, a smaller multiple; their squares are tighter in
            proportion. It saves time on a CPU; on other devices all squares are computed at once.
            Where ``size`` is not larger it changes nothing.
        idle_change: an object that moves little is not computed while the mean color of no cell
            around it has changed by more than this since it was computed last, 10 frames at the
            longest; in numbers of the normalized frame. None computes all objects in each frame. In
            mode 'roi', and on other devices than a CPU, it changes nothing.
        computed_objects: where there are more objects, so many of them (of twelve and more a third)
            are computed in a frame, in turns, and the optical flow carries the masks of the others,
            2 frames at the longest, where it explains what is seen of them. None computes all. In
            mode 'roi', and on other devices than a CPU, it changes nothing.
        context: side of a square over the longer side of the guide's box.
        box_change: by which share the width and the height of an object's box change at most from
            frame to frame.
        train_size, train_context: S in training, a multiple of the coarsest stride too, and the
            bounds between which the context is drawn.
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
        calm_size: int | None = None,
        idle_change: float | None = None,
        computed_objects: int | None = None,
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
        coarsest = max(strides)
        sides = {'size': size, 'calm_size': calm_size, 'train_size': train_size}
        for name, side in sides.items():
            if side is not None and side % coarsest != 0:
                raise ValueError(
                    f'MaskPropagator: {name} must be a multiple of {coarsest}, the coarsest '
                    f'stride, not {side}'
                )
        if calm_size is not None and calm_size >= size:
            # where ``size`` was made smaller, nothing is gained
            calm_size = None
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        self.neck_inputs = len(self.neck.in_channels) if self.neck else 0
        self.head = MODELS.build(head)
        self.strides = tuple(strides)
        self.mode = mode
        self.size = size
        self.calm_size = calm_size
        self.idle_change = None
        self.computed_objects = None
        if mode == 'crop':
            self.idle_change = idle_change
            self.computed_objects = computed_objects
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

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Return the losses over clips.

        The net walks through each clip as through a video: a frame is guided by the guide that the
        data set made, or by what was predicted for the frame before.

        Args:
            inputs: (B, T, 3, H, W) normalized.
            data_samples: B clips of T frames; see ``TrainingClips``.
        """
        clips = TrainingClips.stack(inputs, data_samples, self.clicks)
        masks = clips.masks
        guides = clips.guides
        kinds = clips.kinds
        shares_features = bool(torch.rand(()) < self.roi_ratio)
        # (K, T): which objects are learned in which frame, and are where their guide is
        is_learned = (kinds != GuideKind.GT_MASK).float()
        is_present = (kinds != GuideKind.ABSENT).float()

        memories: list[Memory] = []
        logits = []
        targets = []
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
            last_boxes = boxes if t > 0 else None
            boxes = training_boxes(guide, last_boxes, clips, t)
            squares = training_squares(boxes, kinds[:, t], max(guide.shape[1:]), self.train_context)

            # Segment the squares.
            clicks = None if clips.clicks is None else clips.clicks[:, t]
            where = (clips.clip_index, squares, guide, self.train_size, clicks)
            if shares_features:
                levels, crops = self._encode_shared(self._levels(inputs[:, t], None), *where)
            else:
                levels, crops = self._encode(inputs[:, t], *where)
            frame_logits = self.head(levels, crops, choose_memories(memories))
            target = self._crop_masks(masks[:, t], squares) * is_present[:, t, None, None, None]
            logits.append(frame_logits)
            targets.append(target)
            probabilities = frame_logits.detach()[:, 0].float().sigmoid()
            answer = paste_squares(probabilities, squares, *inputs.shape[-2:])

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

    @property
    def reads_memory(self) -> bool:
        """Whether the head reads remembered frames."""
        return bool(self.head.reference)

    def _features(
        self,
        frame: Frame,
        squares: Tensor,
        guides: Tensor,
        size: int,
        points: Tensor | None = None,
    ) -> tuple[Levels, Tensor]:
        """Encode squares of a frame; in mode 'roi' they share the features of the whole frame."""
        if self.mode == 'crop':
            return super()._features(frame, squares, guides, size, points)
        # one pass of the backbone for all objects of the frame
        shared = frame.features(self, lambda image: self._levels(image, None))
        index = [0] * len(squares)

        # guides without the padding of the batch
        height, width = frame.meta.network_shape
        guides = guides[:, :height, :width]
        return self._encode_shared(
            shared,
            index,
            squares,
            guides,
            size=size,
            clicks=points,
        )

    def _encode_shared(
        self,
        shared: Levels,
        index: Sequence[int],
        squares: Tensor,
        guides: Tensor,
        size: int,
        clicks: Tensor | None = None,
    ) -> tuple[Levels, Tensor]:
        """Cut squares out of the features of whole images; see ``_encode``.

        Args:
            shared: L levels (B, C, H / stride, W / stride) of the images.
            index, squares, guides, size, clicks: see ``_encode``.
        """
        crops = self._crop_guides(guides, squares, size, clicks)
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
        # The neck takes the last levels; finer ones stay as they are.
        first = len(levels) - self.neck_inputs
        fine = levels[:first]
        coarse = self.neck(levels[first:])
        return (*fine, *coarse)

    def _probabilities(
        self, levels: Levels, guides: Tensor, memories: list[Memory], weights: Tensor | None
    ) -> Tensor:
        """Segment squares: (K, h, w) in [0, 1]."""
        logits: Tensor = self.head(levels, guides, memories, weights)
        return logits[:, 0].float().sigmoid()

    def _encode_memory(self, top: Tensor, masks: Tensor) -> Memory | None:
        """Encode a frame to be remembered."""
        memory: Memory | None = self.head.encode_memory([top], masks)
        return memory

    def _crop_masks(self, masks: Tensor, squares: Tensor) -> Tensor:
        """Cut masks (K, H, W) to training squares (K, 1, S, S)."""
        return crop_squares(masks[:, None], range(len(masks)), squares, self.train_size)
