"""What the session asks the model: the mask of a prompt in one frame, and a step of a run.

H, W: the frame's height and width in original pixels.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mmvos.apis import VideoInferencer
from mmvos.apis.frame_preparation import Prepare, frame_preparation
from mmvos.io.errors import DataError
from mmvos.io.images import Picture
from mmvos.models.video_steps import VideoSteps
from mmvos.structures import Frame, FrameResult, Prompts, TrackedObject

from .records import StoredPrompt, decode_counts

_KEPT_FRAMES = 3  # that are prepared for the network: the shown one is clicked again and again


class Segmenter:
    """A model, and pictures as it takes them.

    Args:
        name: of its system or config.
        model: in evaluation mode.
        prepare: frame index and picture (H, W, 3) uint8 BGR -> what the model makes a frame of,
            see ``frame_preparation``.
    """

    def __init__(self, name: str, model: VideoSteps, prepare: Prepare) -> None:
        self.name = name
        self.model = model
        self._prepare = prepare
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        # The last mask that points corrected, and the state that follows it.
        self._corrected: tuple[tuple[int, int, str], Any] | None = None

    def frame(self, index: int, picture: Picture) -> Frame:
        """Prepare a picture (H, W, 3) BGR; the last ones are remembered."""
        known = self._frames.get(index)
        if known is not None:
            self._frames.move_to_end(index)
            return known
        frame = self.model.make_frame(self._prepare(index, picture))
        self._frames[index] = frame
        while len(self._frames) > _KEPT_FRAMES:
            self._frames.popitem(last=False)
        return frame

    def step(self, frame: Frame, state: Any, prompts: Prompts | None) -> tuple[Any, FrameResult]:
        """One step of the model."""
        return self.model.inference_step(frame, state, prompts)

    def segment(self, frame: Frame, object_id: int, prompt: StoredPrompt) -> TrackedObject:
        """Find the mask of one object in the frame in which it is prompted.

        Points correct the painted mask, or the mask that a run had found; a box, or points of an
        object of which nothing was known in this frame, are segmented on their own.

        Raises:
            ValueError: the model cannot take the prompt.
        """
        state = self.model.init_state()
        corrected = prompt.mask
        if corrected is None and prompt.box is None:
            corrected = prompt.base
        if corrected is not None:
            state = self._state_after(frame, object_id, corrected)
        given = Prompts((object_id,), (None,), (prompt.box,), (prompt.points,))
        _, result = self.step(frame, state, given)
        return result.objects[0]

    def _state_after(self, frame: Frame, object_id: int, counts: str) -> Any:
        """The state in which an object has a mask in a frame; kept for the next click."""
        key = (frame.meta.index, object_id, counts)
        if self._corrected is not None:
            kept_key, kept_state = self._corrected
            if kept_key == key:
                return kept_state
        state = self.model.init_state()
        mask = decode_counts(counts, frame.meta.original_shape)
        if mask.any():
            prompts = mask_prompts({object_id: mask})
            state, _ = self.step(frame, state, prompts)
        self._corrected = (key, state)
        return state


def load_segmenter(name: str, weights: str | Path | None, device: str | None) -> Segmenter:
    """Load a model with its weights, and make it fast.

    Args:
        name: of a system or a config.
        weights: file, by default those that come with it.
        device: see ``init_model``.

    Raises:
        DataError: it cannot be loaded.
    """
    _use_cores()
    try:
        model = VideoInferencer(name, weights, device).model
    except (OSError, ValueError) as error:
        raise DataError(str(error) or type(error).__name__) from error
    return Segmenter(name, model, frame_preparation(model))


def mask_prompts(masks: Mapping[int, np.ndarray[Any, Any]]) -> Prompts:
    """Prompts of masks (H, W) bool by object id."""
    ids = tuple(masks)
    return Prompts(ids, tuple(masks.values()), (None,) * len(ids))


def _use_cores() -> None:
    """Let torch use the cores of this machine that are ours, where nobody said how many."""
    if find_spec('torch') is None:
        return  # the engines of ONNX graphs do so by themselves
    if 'OMP_NUM_THREADS' not in os.environ and hasattr(os, 'sched_getaffinity'):
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
