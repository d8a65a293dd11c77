"""PromptedTracking: follows the objects that prompts name, whatever computes its network.

The tracker says how (``MaskPropagation``, ``SiameseTracker``, ``PartTracker``; see ``Tracker``);
this class merges the objects, adds prompts, and makes results. Arrays are torch's or numpy's;
nothing here imports torch.

K objects, H x W the padded frame of the network, h x w its valid part; prompts and results are in
original pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.ops.arrays import (
    Array,
    array_like,
    array_namespace,
    as_numpy,
    device,
    fetch,
    is_on_host,
    pad_maps,
    resize,
)
from mmvos.structures import Frame, FrameMeta, FrameResult, Prompts, TrackedObject
from mmvos.structures.rle import encode_crop, tight_box
from mmvos.structures.soft_mask import soft_mask
from mmvos.structures.tracks import UNKNOWN_LABEL

from .tracked_objects import PromptedObjects, PromptKind, TrackedState
from .video_steps import VideoSteps

States = tuple[TrackedState, ...]

_ROWS_AT_ONCE = 32  # of a frame that are merged


class PromptedTracking(VideoSteps):
    """Base of all that follows prompted objects; a child gives the tracker.

    Attributes:
        tracker: has ``accepts_points``, ``start``, ``propagate``, ``correct`` and ``commit`` of a
            ``Tracker``.
        merge: 'soft', 'hard' or 'hard-first'; see ``PromptedSegmenter``.
    """

    takes_prompts = True
    tracker: Any
    merge: str

    def init_state(self) -> States:
        """Return the state without objects."""
        return ()

    def step(
        self, frame: Frame, state: States, prompts: Prompts | None = None
    ) -> tuple[States, FrameResult]:
        """Find the known objects in a frame, then add those of a prompt; see ``VideoModel.step``.

        The pixels of given masks belong to nobody else. A prompt for a known id corrects that
        object: the frame joins what is remembered of it. With ``Prompts.restart`` it starts anew.

        Raises:
            ValueError: the prompt does not fit the frame or the model.
        """
        if prompts is not None and not prompts.ids:
            prompts = None
        known: dict[int, TrackedState] = {}
        corrected: tuple[int, ...] = ()
        if prompts is not None:
            prompts.fitted(*frame.meta.original_shape)
            if not prompts.restart:
                known = {item.id: item for item in state if item.id in prompts.ids}
            corrected = self._check_points(prompts, known)
            # An object that is given anew is not looked for; one that points correct is.
            state = tuple(
                item for item in state if item.id not in prompts.ids or item.id in corrected
            )
        xp = array_namespace(frame.image)
        with self.autocast(device(frame.image)):
            # Propagate the known objects.
            probabilities, state = self.tracker.propagate(frame, state)
            probabilities = xp.astype(probabilities, xp.float32, copy=False)
            if prompts is None:
                merged = self._merge(probabilities)
            else:
                # Take out what points correct: its mask is the prior of its prompt.
                is_corrected = [item.id in corrected for item in state]
                found = {}
                for k, item in enumerate(state):
                    if is_corrected[k]:
                        found[item.id] = 2 * probabilities[k] - 1
                stays = [k for k in range(len(state)) if not is_corrected[k]]
                probabilities = probabilities[stays]
                state = tuple(state[k] for k in stays)

                # Start the prompted objects, with the memory of those that are known.
                objects = prompted_objects(prompts, frame, found)
                given, new_states = self.tracker.start(frame, objects)
                started = []
                for item in new_states:
                    if item.id in known:
                        item = self.tracker.correct(known[item.id], item)
                    started.append(item)

                # Merge all in the order of their ids.
                together = (*state, *started)
                is_mask = [False] * len(state) + list(objects.is_mask)
                order = sorted(range(len(together)), key=lambda k: together[k].id)
                state = tuple(together[k] for k in order)
                is_mask = [is_mask[k] for k in order]
                given = xp.astype(given, xp.float32, copy=False)
                probabilities = xp.concat([probabilities, given])[order]
                merged = self._merge_beside_masks(probabilities, is_mask)
            # The tracker takes over what is left of each object.
            state = self.tracker.commit(state, merged)
        return state, _result(frame.meta, state, merged, prompts, self.keeps_soft_masks)

    def _check_points(self, prompts: Prompts, known: dict[int, TrackedState]) -> tuple[int, ...]:
        """Return the ids of known objects that points alone correct.

        Raises:
            ValueError: the tracker takes no points, or an object that is not known has none on it.
        """
        corrected = []
        given = zip(prompts.ids, prompts.masks, prompts.boxes, prompts.points, strict=True)
        for object_id, mask, box, points in given:
            if points and not self.tracker.accepts_points:
                raise ValueError(
                    f'object {object_id} is given by points, which this model does not take; give '
                    f'a box or a mask'
                )
            if mask is not None or box is not None:
                continue
            if object_id in known:
                corrected.append(object_id)
            elif not any(is_on_object for _, _, is_on_object in points):
                raise ValueError(
                    f'object {object_id} is new, and none of its points is on it; give one that is'
                )
        return tuple(corrected)

    def remove(self, state: States, object_id: int) -> States:
        """Return the state without an object; see ``VideoModel.remove``."""
        ids = [item.id for item in state]
        if object_id not in ids:
            raise ValueError(f'there is no object {object_id} to remove; known are {ids}')
        return tuple(item for item in state if item.id != object_id)

    def keep_memory(self, state: States) -> dict[int, TrackedState]:
        """Keep of each object what ``recall`` reads; see ``VideoModel.keep_memory``."""
        return {item.id: self.tracker.keep_memory(item) for item in state}

    def recall(self, state: States, prompted: Mapping[int, Sequence[TrackedState]]) -> States:
        """Replace the remembered frames of prompts; see ``VideoModel.recall``."""
        recalled = []
        for item in state:
            others = prompted.get(item.id, ())
            if others:
                item = self.tracker.recall(item, others)
            recalled.append(item)
        return tuple(recalled)

    def _merge(self, probabilities: Array) -> Array:
        """Return what is left of each object beside the others: (K, H, W)."""
        if self.merge == 'soft':
            return soft_merge(probabilities)
        return hard_merge(probabilities, first_wins=self.merge == 'hard-first')

    def _merge_beside_masks(self, probabilities: Array, is_given_mask: list[bool]) -> Array:
        """Merge objects of which some are given masks, whose pixels belong to nobody else.

        Args:
            probabilities: (K, H, W).
            is_given_mask: of each whether it is a given mask.

        Returns:
            What is left of each object: (K, H, W).
        """
        xp = array_namespace(probabilities)
        given = [k for k, is_mask in enumerate(is_given_mask) if is_mask]
        others = [k for k, is_mask in enumerate(is_given_mask) if not is_mask]
        found = self._merge(probabilities[others])
        if given:
            found = found * (1 - xp.max(probabilities[given], axis=0))
        merged = xp.asarray(probabilities, copy=True)
        merged[others] = found
        return merged


def soft_aggregate(probabilities: Array, background: Array | None = None) -> tuple[Array, Array]:
    """Normalize the odds of all objects and of the background (Oh et al., RGMP, CVPR 2018, eq. 1).

    Args:
        probabilities: (K, H, W) in [0, 1], of each object against the rest.
        background: (H, W) in [0, 1]; the product of 1 - p over the objects by default.

    Returns:
        (K, H, W) of the objects and (H, W) of the background; they add up to 1 at every pixel.
    """
    xp = array_namespace(probabilities)
    if background is None:
        background = xp.prod(1 - probabilities, axis=0)
    # (1 + K, H, W): the background is one more class
    classes = xp.astype(xp.concat([background[None], probabilities]), xp.float32, copy=False)
    classes = xp.clip(classes, 1e-7, 1 - 1e-7)
    odds = classes / (1 - classes)
    merged = odds / xp.sum(odds, axis=0)
    return merged[1:], merged[0]


def soft_merge(probabilities: Array) -> Array:
    """Return the objects of `soft_aggregate`, (K, H, W).

    On a CPU it takes some rows at a time, which stay in the cache; a pixel knows no other.
    """
    if not is_on_host(probabilities):
        return soft_aggregate(probabilities)[0]
    xp = array_namespace(probabilities)
    merged = xp.zeros_like(probabilities)
    for first in range(0, probabilities.shape[1], _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        merged[:, rows] = soft_aggregate(probabilities[:, rows])[0]
    return merged


def hard_merge(probabilities: Array, first_wins: bool = False) -> Array:
    """Give each pixel to the most certain of the objects that claim it (p >= .5).

    So do MaskTrack's and SiamMask's public code. A loser's pixel is background for it, so that no
    pixel of a guide is outside [-1, 1].

    Args:
        probabilities: (K, H, W) in [0, 1].
        first_wins: whether of equally certain objects the first gets the pixel, as in SiamMask;
            else the last, as in MaskTrack.

    Returns:
        (K, H, W), the winner 1 and everybody else 0.
    """
    num_objects = len(probabilities)
    if num_objects == 0:
        return probabilities
    xp = array_namespace(probabilities)
    # (H, W): the most certain object
    winner, best = most_probable(probabilities, first_wins)
    is_claimed = best >= 0.5
    # (K, H, W)
    numbers = xp.arange(num_objects, device=device(probabilities))[:, None, None]
    is_won = (numbers == winner) & is_claimed
    return xp.astype(is_won, probabilities.dtype)


def most_probable(probabilities: Array, first_wins: bool) -> tuple[Array, Array]:
    """Find the most probable object of each pixel.

    One object after the other: on a CPU that is several times as fast as ``argmax``.

    Args:
        probabilities: (K, H, W), of at least one object.
        first_wins: whether of equally probable objects it is the first; else the last.

    Returns:
        (H, W) int64, its number, and (H, W), its probability.
    """
    xp = array_namespace(probabilities)
    best = probabilities[0]
    number = xp.zeros_like(best, dtype=xp.int64)
    for k in range(1, len(probabilities)):
        is_better = probabilities[k] > best
        if not first_wins:
            is_better = probabilities[k] >= best
        number = xp.where(is_better, k, number)
        best = xp.maximum(best, probabilities[k])
    return number, best


def prompted_objects(
    prompts: Prompts, frame: Frame, found: Mapping[int, Array] | None = None
) -> PromptedObjects:
    """Bring the objects of a prompt into the network's pixels.

    Args:
        prompts: what is given.
        frame: the frame they are given in.
        found: by id the mask priors (H, W) of the objects that points correct.

    Raises:
        ValueError: the prompt does not fit the frame.
    """
    found = found or {}
    kinds = []
    for object_id, mask, box in zip(prompts.ids, prompts.masks, prompts.boxes, strict=True):
        if mask is not None:
            kinds.append(PromptKind.MASK)
        elif box is not None:
            kinds.append(PromptKind.BOX)
        elif object_id in found:
            kinds.append(PromptKind.CORRECTION)
        else:
            kinds.append(PromptKind.POINTS)
    priors = _mask_priors(prompts.fitted(*frame.meta.original_shape), frame)
    for k, object_id in enumerate(prompts.ids):
        if kinds[k] is PromptKind.POINTS:
            priors[k] = 0
        elif kinds[k] is PromptKind.CORRECTION:
            priors[k] = found[object_id]
    return PromptedObjects(
        ids=prompts.ids,
        mask_priors=priors,
        kinds=tuple(kinds),
        # A box may reach out of the frame: a template lies around the middle of all of it.
        boxes=tuple(_boxes(prompts, frame.meta)),
        points=_points(prompts, frame),
    )


def _points(prompts: Prompts, frame: Frame) -> Array | None:
    """Return the points of prompts as (K, P, 3) rows x, y, sign in network pixels."""
    count = max(len(points) for points in prompts.points)
    if count == 0:
        return None
    scale_x, scale_y = frame.meta.scale
    rows = np.zeros((len(prompts.ids), count, 3), dtype=np.float32)
    for k, points in enumerate(prompts.points):
        for index, (x, y, is_on_object) in enumerate(points):
            sign = 1.0 if is_on_object else -1.0
            rows[k, index] = (x * scale_x, y * scale_y, sign)
    return array_like(rows, frame.image)


def _mask_priors(prompts: Prompts, frame: Frame) -> Array:
    """Return +1 in masks and boxes, -1 elsewhere, 0 in the padding: (K, H, W) in network pixels."""
    height, width = frame.meta.original_shape
    maps = []
    for mask, box in zip(prompts.masks, prompts.boxes, strict=True):
        if mask is None:
            # The prior of points alone is not used.
            mask = _filled_box(box or (0, 0, width, height), height, width)
        maps.append(mask)
    # (K, 1, height, width) of original pixels -> (K, 1, h, w) of the network's
    given = array_like(np.stack(maps)[:, None].astype(np.float32), frame.image)
    if frame.meta.network_shape != (height, width):
        given = resize(given, *frame.meta.network_shape)
        # What is thinner than a pixel is still an object.
        xp = array_namespace(given)
        given = given / xp.max(given, axis=(2, 3), keepdims=True)
    return pad_maps(2 * given[:, 0] - 1, tuple(frame.image.shape[2:]))


def _filled_box(box: tuple[float, ...], height: int, width: int) -> NDArray[np.bool_]:
    """Fill a box in a frame; a fraction of a pixel is a pixel."""
    x1, y1, x2, y2 = (round(value) for value in box)
    left = min(x1, width - 1)
    top = min(y1, height - 1)
    mask = np.zeros((height, width), dtype=bool)
    mask[top : max(y2, top + 1), left : max(x2, left + 1)] = True
    return mask


def _boxes(prompts: Prompts, meta: FrameMeta) -> list[tuple[float, ...]]:
    """Return K boxes xyxy in network pixels: given, or around the masks, or around the points.

    A given box may reach out of the frame, by the frame's size at most.
    """
    height, width = meta.original_shape
    boxes = []
    for mask, given, points in zip(prompts.masks, prompts.boxes, prompts.points, strict=True):
        box: tuple[float, ...] | None = given if mask is None else tight_box(mask)
        if box is None:
            across = [x for x, _, _ in points]
            down = [y for _, y, _ in points]
            box = (min(across), min(down), max(across), max(down))
        corners = []
        for value, side, scale in zip(box, (width, height) * 2, meta.scale * 2, strict=True):
            clipped = min(max(value, -side), 2 * side)
            corners.append(float(clipped * scale))
        boxes.append(tuple(corners))
    return boxes


def _result(
    meta: FrameMeta,
    states: States,
    merged: Array,
    prompts: Prompts | None,
    keeps_soft_masks: bool,
) -> FrameResult:
    """Make the result of a frame, in original pixels.

    A pixel is the most probable object's, or the background's; given masks stay as they are. An
    object's score is that of its state, where there is none the mean probability of its pixels,
    and 0 where it has no pixels.

    Args:
        meta: of the frame.
        states: K of them.
        merged: (K, H, W) probabilities after merging.
        prompts: of this frame.
        keeps_soft_masks: whether the probabilities go into the result.
    """
    if not states:
        return FrameResult(meta.index, meta.original_shape, ())
    network_height, network_width = meta.network_shape
    merged = merged[:, :network_height, :network_width]
    if meta.network_shape != meta.original_shape:
        merged = resize(merged[None], *meta.original_shape)[0]
    winner = winners(merged, [state.id for state in states], prompts)
    means = None
    if is_on_host(merged):
        winner = as_numpy(winner)
    else:
        # on a device the means are made where the probabilities are, and all comes at once
        winner, means = fetch(winner, _mean_probabilities(merged, winner))
    objects = []
    for k, state in enumerate(states):
        mask = winner == k
        score = state.score
        if score is None:
            score = 0.0
            if means is not None:
                score = float(means[k])
            elif mask.any():
                score = float(as_numpy(merged[k])[mask].mean())
        item = _tracked_object(state, mask, score, meta)
        if keeps_soft_masks:
            item = replace(item, soft=soft_mask(as_numpy(merged[k])))
        objects.append(item)
    return FrameResult(meta.index, meta.original_shape, tuple(objects))


def winners(merged: Array, ids: list[int], prompts: Prompts | None) -> Array:
    """Return of each pixel the number of its object, -1 for the background: (H, W) int64."""
    xp = array_namespace(merged)
    background = 1 - xp.sum(merged, axis=0)
    # (H, W): the most probable object
    index, best = most_probable(merged, first_wins=True)
    winner = xp.where(best > background, index, -1)
    if prompts is None:
        return winner
    # Given masks stay as they are; where they overlap the lower id has the pixel.
    given = dict(zip(prompts.ids, prompts.masks, strict=True))
    for object_id in sorted(given, reverse=True):
        mask = given[object_id]
        if mask is not None:
            number = ids.index(object_id)
            is_given = array_like(mask, merged) > 0
            winner = xp.where(winner == number, -1, winner)
            winner = xp.where(is_given, number, winner)
    return winner


def _mean_probabilities(merged: Array, winner: Array) -> Array:
    """Return the mean probability of each object's pixels, 0 where it has none: (K,)."""
    xp = array_namespace(merged)
    numbers = xp.arange(len(merged), device=device(merged))
    is_won = winner == numbers[:, None, None]
    areas = xp.sum(is_won, axis=(1, 2))
    sums = xp.sum(xp.where(is_won, merged, 0.0), axis=(1, 2))
    return sums / xp.clip(areas, 1, None)


def _tracked_object(
    state: TrackedState, mask: NDArray[np.bool_], score: float, meta: FrameMeta
) -> TrackedObject:
    """Make the result of one object.

    Args:
        state: of the object after the frame.
        mask: (H, W) in original pixels.
        score: of the object where it has pixels.
        meta: of the frame.
    """
    height, width = meta.original_shape
    box = tight_box(mask)
    if box is None:
        score = 0.0
    left, top, right, bottom = box or (0, 0, 0, 0)
    region = state.region
    if region is not None:
        scale_x, scale_y = meta.scale
        region = tuple((x / scale_x, y / scale_y) for x, y in region)
    return TrackedObject(
        id=state.id,
        label=UNKNOWN_LABEL,
        score=score,
        box=(float(left), float(top), float(right), float(bottom)),
        mask=encode_crop(mask[top:bottom, left:right], top, left, height, width),
        region=region,
    )
