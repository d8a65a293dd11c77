"""A model that finds the color of what it was given: what it gives is known without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from studio.small_video import HEIGHT, WIDTH

from mmvos.apis import inference
from mmvos.models.video_steps import VideoSteps
from mmvos.structures import UNKNOWN_LABEL, Frame, FrameMeta, FrameResult, Prompts, rle
from mmvos.structures import TrackedObject as Found

SCORE = 0.75
State = dict[int, tuple[int, ...]]  # color of each object


class ColorFollower(VideoSteps):
    """Follows objects of one color; a given mask is kept in its frame."""

    takes_prompts = True

    def __init__(self) -> None:
        self.dataset_meta: dict[str, Any] = {'classes': (), 'category_ids': ()}
        self.prompted: dict[int, Prompts] = {}  # what it was given, by frame

    def make_frame(self, batch: Any) -> Frame:
        index, picture = batch
        meta = FrameMeta(index, (HEIGHT, WIDTH), (HEIGHT, WIDTH), (1.0, 1.0))
        return Frame(picture, meta)

    def init_state(self) -> State:
        return {}

    def remove(self, state: State, object_id: int) -> State:
        raise NotImplementedError

    def identity(self) -> list[Any]:
        return []

    def keep_memory(self, state: State) -> State:
        return state

    def recall(self, state: State, prompted: Any) -> State:
        return state

    def step(
        self, frame: Frame, state: State, prompts: Prompts | None = None
    ) -> tuple[State, FrameResult]:
        picture: Any = frame.image
        state = dict(state)
        given: dict[int, NDArray[np.bool_]] = {}
        if prompts is not None:
            self.prompted[frame.meta.index] = prompts
            for object_id, mask, box in zip(prompts.ids, prompts.masks, prompts.boxes):
                if mask is not None:
                    given[object_id] = mask
                    y, x = np.argwhere(mask)[mask.sum() // 2]
                else:
                    x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
                state[object_id] = tuple(picture[y, x].tolist())
        objects = []
        for object_id, color in sorted(state.items()):
            mask = given.get(object_id, (picture == color).all(axis=2))
            code = rle.encode(mask)
            box = rle.bounding_box(code)
            objects.append(Found(object_id, UNKNOWN_LABEL, SCORE, box, code))
        return state, FrameResult(frame.meta.index, (HEIGHT, WIDTH), tuple(objects))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ColorFollower:
    """The model that every inferencer of a test has."""
    made = ColorFollower()
    monkeypatch.setattr(inference, 'load_model', lambda *args: made)
    monkeypatch.setattr(inference, 'frame_preparation', lambda model: lambda *frame: frame)
    return made
