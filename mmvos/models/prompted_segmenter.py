"""PromptedSegmenter: follows the objects that it is told, and gives their masks.

The tracker says how (``MaskPropagator``: MaskTrack and MaskTrack-Box); this class merges the
objects, adds prompts, and makes results. K objects, H x W the network's frame; prompts and results
are in original pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.structures import TrackDataSample
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.merge import hard_merge, soft_aggregate
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameResult, Prompts, TrackedObject
from mmvos.structures.rle import encode_crop
from mmvos.structures.tracks import UNKNOWN_LABEL

from .tracker import PromptedObjects, TrackedState, Tracker
from .video_model import VideoModel

States = tuple[TrackedState, ...]


@MODELS.register_module()
class PromptedSegmenter(VideoModel):
    """Video object segmentation from prompts.

    Args:
        tracker: config of the tracker; it has the weights.
        data_preprocessor: config of mmdet's ``TrackDataPreprocessor``.
        merge: 'soft' (odds normalised over the objects), 'hard' (the most certain object takes the
            pixel, of equal ones the last) or 'hard-first' (of equal ones the first).
        init_cfg: mmengine's weight initialisation.
    """

    takes_prompts = True

    def __init__(
        self,
        tracker: dict[str, Any],
        data_preprocessor: dict[str, Any],
        merge: str = 'soft',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor, True, init_cfg)
        if merge not in ('soft', 'hard', 'hard-first'):
            raise ValueError(f"merge must be 'soft', 'hard' or 'hard-first', not {merge!r}")
        self.tracker: Tracker[Any] = MODELS.build(tracker)
        self.merge = merge
        self.to(memory_format=torch.channels_last)

    def init_state(self) -> States:
        """No object yet."""
        return ()

    def step(
        self, frame: Frame, state: States, prompts: Prompts | None = None
    ) -> tuple[States, FrameResult]:
        """Finds the known objects in a frame, then adds those of a prompt, whose pixels win; see
        ``VideoModel.step``.

        A prompt for an id that is known starts that object anew.

        Raises:
            ValueError: the prompt does not fit the frame.
        """
        if prompts is not None and not prompts.ids:
            prompts = None
        if prompts is not None:
            fitted = prompts.fitted(*frame.meta.original_shape)
            state = tuple(item for item in state if item.id not in prompts.ids)
        with self.autocast(frame.image.device):
            probabilities, state = self.tracker.propagate(frame, state)
            if prompts is None:
                merged = self._merged(probabilities.float())
            else:
                mask_priors, is_given_mask = _guides(fitted, frame)
                objects = PromptedObjects(
                    prompts.ids, mask_priors, tuple(is_given_mask), tuple(_boxes(prompts, frame))
                )
                given, started = self.tracker.start(frame, objects)
                together, is_mask = (*state, *started), [False] * len(state) + is_given_mask
                order = sorted(range(len(together)), key=lambda k: together[k].id)
                state = tuple(together[k] for k in order)
                merged = self._merged_with(
                    torch.cat([probabilities, given]).float()[order], [is_mask[k] for k in order]
                )
            state = self.tracker.commit(state, merged)
        return state, _result(frame, state, merged, prompts)

    def remove(self, state: States, object_id: int) -> States:
        """The state without an object; see ``VideoModel.remove``."""
        if object_id not in (item.id for item in state):
            raise ValueError(
                f'there is no object {object_id} to remove; known are {[item.id for item in state]}'
            )
        return tuple(item for item in state if item.id != object_id)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of B clips of T frames; what the samples hold is said by the tracker's ``loss``.

        Args:
            inputs: (B, T, 3, H, W) normalised.
            data_samples: B of them.
        """
        losses: dict[str, Tensor] = self.tracker.loss(inputs, data_samples)
        return losses

    def _merged(self, probabilities: Tensor) -> Tensor:
        """What is left of each object beside the others: (K, H, W)."""
        if self.merge != 'soft':
            return hard_merge(probabilities, first_wins=self.merge == 'hard-first')
        return soft_aggregate(probabilities)[0]

    def _merged_with(self, probabilities: Tensor, given: Sequence[bool]) -> Tensor:
        """What is left (K, H, W) of each object where some are given masks, whose pixels belong to
        nobody else.
        """
        is_mask = torch.tensor(given, device=probabilities.device)
        found, masks = self._merged(probabilities[~is_mask]), probabilities[is_mask]
        if len(masks):
            found = found * (1 - masks.amax(dim=0))
        merged = probabilities.clone()
        merged[~is_mask] = found
        return merged


def _padded(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """(K, h, w) maps padded with 0 to a batch's size."""
    return F.pad(maps, (0, size[1] - maps.shape[2], 0, size[0] - maps.shape[1]))


def _guides(prompts: Prompts, frame: Frame) -> tuple[Tensor, list[bool]]:
    """Guides (K, H, W) of prompts in the network's pixels, 0 in the padding, and of each whether it
    is a mask.
    """
    height, width = frame.meta.original_shape
    maps = []
    for mask, box in zip(prompts.masks, prompts.boxes, strict=True):
        if mask is None:
            assert box is not None
            x1, y1, x2, y2 = (round(value) for value in box)
            x1, y1 = min(x1, width - 1), min(y1, height - 1)  # a fraction of a pixel is a pixel
            mask = np.zeros((height, width), dtype=bool)
            mask[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)] = True
        maps.append(mask)
    given = torch.from_numpy(np.stack(maps))[:, None].to(frame.image.device, torch.float32)
    if frame.meta.network_shape != (height, width):
        given = F.interpolate(
            given,
            size=frame.meta.network_shape,
            mode='bilinear',
            align_corners=False,
            antialias=True,
        )
        # what is thinner than a pixel is still an object
        given = given / given.amax(dim=(2, 3), keepdim=True)
    return _padded(2 * given[:, 0] - 1, tuple(frame.image.shape[2:])), [
        mask is not None for mask in prompts.masks
    ]


def _boxes(prompts: Prompts, frame: Frame) -> list[tuple[float, ...]]:
    """Boxes xyxy of prompts in the network's pixels: those around the masks, and where there is no
    mask those given.

    A given box may reach out of the frame, by the frame's size at most: what a tracker cuts out
    lies around the box's own middle, not around that of its visible part.
    """
    height, width = frame.meta.original_shape
    found = []
    for mask, box in zip(prompts.masks, prompts.boxes, strict=True):
        if mask is not None:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert box is not None
        sides = (width, height) * 2
        found.append(
            tuple(
                float(min(max(value, -side), 2 * side) * scale)
                for value, side, scale in zip(box, sides, frame.meta.scale * 2, strict=True)
            )
        )
    return found


def _result(frame: Frame, state: States, merged: Tensor, prompts: Prompts | None) -> FrameResult:
    """The result in original pixels: the most probable object of each pixel, or the background;
    given masks as they are.

    An object's score is that of its state, where there is none the mean probability of its pixels,
    and 0 where it has no pixels.
    """
    meta, ids = frame.meta, [item.id for item in state]
    height, width = meta.original_shape
    merged = merged[:, : meta.network_shape[0], : meta.network_shape[1]]
    if tuple(merged.shape[1:]) != (height, width) and len(merged):
        merged = F.interpolate(
            merged[None], size=(height, width), mode='bilinear', align_corners=False, antialias=True
        )[0]
    if not len(merged):
        return FrameResult(meta.index, meta.original_shape, ())
    best, index = merged.max(dim=0)
    # the background's share is the rest
    winner = torch.where(best > 1 - merged.sum(dim=0), index, -1).cpu().numpy()
    told = () if prompts is None else zip(prompts.ids, prompts.masks, strict=True)
    # where they overlap the lower id has the pixel
    for object_id, given in sorted(told, reverse=True):
        if given is not None:
            winner[winner == ids.index(object_id)] = -1
            winner[given] = ids.index(object_id)
    objects = []
    for k, object_id in enumerate(ids):
        mask = winner == k
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box, score = (0.0, 0.0, 0.0, 0.0), 0.0
        top = bottom = left = right = 0
        if len(rows):
            top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
            box = (float(left), float(top), float(right), float(bottom))
            own = state[k].score
            score = float(merged[k].cpu().numpy()[mask].mean()) if own is None else own
        rle = encode_crop(mask[top:bottom, left:right], int(top), int(left), height, width)
        region = state[k].region
        if region is not None:
            region = tuple((x / meta.scale[0], y / meta.scale[1]) for x, y in region)
        objects.append(TrackedObject(object_id, UNKNOWN_LABEL, score, box, rle, region))
    return FrameResult(meta.index, meta.original_shape, tuple(objects))
