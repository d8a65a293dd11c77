"""The objects of a batch of clips, as the loss of mask propagation walks through them: their masks
and guides, the squares in which they are seen, and the frames that are remembered.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.ops.arrays import pad_maps, to_device
from mmvos.ops.crop import squares_around
from mmvos.structures import GuideKind

from .propagation import MAX_SIDE_RATIO, MIN_SIDE, Memory
from .state import guide_boxes, limit_change

TRAIN_BOX_CHANGE = 0.15  # ``box_change`` in training, whose frames are farther apart
CLICK_CONTEXT = (1.3, 4.0)  # ``train_context`` where clicks alone tell of the object
TRAIN_SHIFT = 0.3  # range of a training square's shift, over the object's longer side


@dataclass(frozen=True)
class TrainingClips:
    """K objects in B clips of T frames, which are padded to H x W.

    Attributes:
        clip_index: of each object its clip.
        masks: (K, T, H, W) in {0, 1}.
        guides: (K, T, H, W) in [-1, 1], 0 in the padding.
        kinds: (K, T) int64, ``GuideKind``.
        clicks: (K, T, P, 3) rows x, y, sign in frame pixels, sign 0 is none; None without clicks.
    """

    clip_index: list[int]
    masks: Tensor
    guides: Tensor
    kinds: Tensor
    clicks: Tensor | None

    @classmethod
    def stack(
        cls, inputs: Tensor, data_samples: list[TrackDataSample], with_clicks: bool
    ) -> TrainingClips:
        """Stack what the samples hold.

        Args:
            inputs: (B, T, 3, H, W), the padded frames.
            data_samples: B clips of T frames with ``masks``, ``guides`` and ``guide_kinds`` of the
                same objects, and maybe ``clicks``.
            with_clicks: whether clicks are wanted.
        """
        size = tuple(inputs.shape[-2:])
        clip_index: list[int] = []
        masks: list[Tensor] = []
        guides: list[Tensor] = []
        kinds: list[Tensor] = []
        clicks: list[Tensor] = []
        for clip, sample in enumerate(data_samples):
            frames = [sample[t].gt_instances for t in range(len(sample))]
            clip_index += [clip] * len(frames[0])

            # (objects of the clip, H, W) of each frame, in the padded size
            frame_masks = []
            frame_guides = []
            for frame in frames:
                bitmaps = to_device(frame.masks.masks, inputs, torch.uint8)
                frame_masks.append(pad_maps(bitmaps, size))
                frame_guides.append(pad_maps(frame.guides, size))

            # (objects of the clip, T, ...)
            masks.append(torch.stack(frame_masks, dim=1))
            guides.append(torch.stack(frame_guides, dim=1))
            kinds.append(torch.stack([frame.guide_kinds for frame in frames], dim=1))
            if with_clicks and 'clicks' in frames[0]:
                clicks.append(torch.stack([frame.clicks for frame in frames], dim=1))

        all_clicks = None
        if clicks:
            all_clicks = torch.cat(clicks)
        return cls(
            clip_index=clip_index,
            masks=torch.cat(masks),
            guides=torch.cat(guides),
            kinds=torch.cat(kinds),
            clicks=all_clicks,
        )


def training_boxes(
    guide: Tensor, last_boxes: Tensor | None, clips: TrainingClips, t: int
) -> Tensor:
    """Find the boxes (K, 4) of the guides (K, H, W) of frame t, which change slowly."""
    # A click does not tell the size: its square is drawn around the object itself.
    is_clicked = clips.kinds[:, t] == GuideKind.CLICKS
    own_prior = 2.0 * clips.masks[:, t] - 1
    shown = torch.where(is_clicked[:, None, None], own_prior, guide)
    boxes = guide_boxes(shown)
    if last_boxes is None:
        return boxes
    slow_boxes = limit_change(boxes, last_boxes, TRAIN_BOX_CHANGE)
    return torch.where(is_clicked[:, None], boxes, slow_boxes)


def training_squares(
    boxes: Tensor, kinds: Tensor, frame_side: int, train_context: tuple[float, float]
) -> Tensor:
    """Draw squares (K, 3) of random context around boxes (K, 4), a little off the center.

    Args:
        boxes: (K, 4).
        kinds: (K,) of the guides.
        frame_side: longer side of the frame.
        train_context: bounds of a square's side over the longer side of its box.
    """
    # (K,): the context of each object, drawn between its bounds
    is_clicked = kinds == GuideKind.CLICKS
    low = torch.where(is_clicked, CLICK_CONTEXT[0], train_context[0])
    high = torch.where(is_clicked, CLICK_CONTEXT[1], train_context[1])
    draws = torch.rand(len(boxes), device=boxes.device)
    context = low + (high - low) * draws

    # (K, 2): the shift in x and y, in proportion to the longer side
    sides = boxes[:, 2:] - boxes[:, :2]
    longer_side = sides.amax(dim=1, keepdim=True)
    draws = torch.rand(len(boxes), 2, device=boxes.device)
    shift = (draws - 0.5) * TRAIN_SHIFT * longer_side
    shifted = boxes + shift.repeat(1, 2)

    max_side = round(MAX_SIDE_RATIO * frame_side)
    return squares_around(shifted, context, MIN_SIDE, max_side)


def choose_memories(memories: list[Memory]) -> list[Memory]:
    """Choose the first and the last remembered frame, and now and then one between them."""
    if not memories:
        return []
    first = memories[0]
    last = memories[-1]
    if len(memories) > 2 and bool(torch.rand(()) < 0.5):
        middle = memories[len(memories) // 2]
        return [first, middle, last]
    return [first, last]
