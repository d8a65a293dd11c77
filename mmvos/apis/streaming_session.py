"""StreamingSession: one video that its caller goes through frame by frame, adding and removing
objects on the way.

The model's state goes in and comes out of ``VideoSteps.step``; it is kept here from one call to the
next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.models.video_steps import VideoSteps
from mmvos.structures import FrameResult, Prompts

from .object_prompt import ObjectPrompt, join_objects, split_objects


class StreamingSession:
    """A video from its first frame on.

    Args:
        model: in evaluation mode.
        prepare: frame index and picture (H, W, 3) uint8 BGR -> what the model makes a frame of.
        prompts: by frame index.

    Attributes:
        index: of the next frame, from 0.
        free_id: an id that no object of this video has or had.
    """

    def __init__(
        self,
        model: VideoSteps,
        prepare: Callable[[int, NDArray[np.uint8]], Any],
        prompts: Mapping[int, Prompts],
    ) -> None:
        self.model = model
        self.prepare = prepare
        self.index = 0
        self.free_id = 1
        self._state = model.init_state()
        self._shape: tuple[int, ...] | None = None
        # Prompts of the next frame and later ones: frame -> id -> prompt.
        self._waiting: dict[int, dict[int, ObjectPrompt]] = {}
        self._known_ids: set[int] = set()  # of the prompts that the model has got
        self._removed: set[int] = set()
        for frame_index, given in prompts.items():
            self._add(frame_index, given)

    def step(self, picture: NDArray[np.uint8]) -> FrameResult:
        """Find the objects of the next frame.

        Raises:
            ValueError: the picture has another size than those before it, or an added object does
                not fit it; the video is then as it was, without the objects added to this frame.
        """
        if self._shape not in (None, picture.shape):
            height, width = picture.shape[:2]
            raise ValueError(
                f'frame {self.index} is {width}x{height} but the first frame is '
                f'{self._shape[1]}x{self._shape[0]}; all frames of a video must have one size, '
                f'start anew for another'
            )

        # What waits for this frame is given once, also where the model refuses it.
        objects = self._waiting.pop(self.index, {})
        prompts = None
        if objects:
            prompts = join_objects(objects, self._known_ids, f'frame {self.index}')

        frame = self.model.make_frame(self.prepare(self.index, picture))
        state, result = self.model.inference_step(frame, self._state, prompts)

        # The step went well, so the video is one frame further.
        self._state = state
        self._known_ids.update(objects)
        self._shape = picture.shape
        self.index += 1
        return result

    def add(self, prompts: Prompts) -> None:
        """Add objects in the next frame, or correct known ones; see `Prompts`.

        Raises:
            ValueError: an object with this id was removed, or some known objects of the next frame
                are to start anew and others not.
        """
        self._add(self.index, prompts)

    def remove(self, object_id: int) -> None:
        """Remove an object for good, also one that waits for its frame.

        Raises:
            ValueError: there is no such object.
        """
        is_waiting = any(object_id in objects for objects in self._waiting.values())
        try:
            self._state = self.model.remove(self._state, object_id)
        except ValueError:
            if not is_waiting:
                raise
        for objects in self._waiting.values():
            objects.pop(object_id, None)
        self._removed.add(object_id)

    def _add(self, index: int, prompts: Prompts) -> None:
        """Keep prompts until their frame comes; the last word about an object counts."""
        removed = sorted(self._removed & set(prompts.ids))
        if removed:
            raise DataError(
                f'object {removed[0]} was removed from this video, and its id is not given again; '
                f'the next free one is {self.free_id}'
            )
        objects = {**self._waiting.get(index, {})}
        for object_id, prompt in split_objects(prompts).items():
            # Named again it comes last, as in the order in which it was said.
            objects.pop(object_id, None)
            objects[object_id] = prompt
        join_objects(objects, self._known_ids, f'frame {index}')  # refuses a contradiction now
        self._waiting[index] = objects
        self.free_id = max([self.free_id, *(object_id + 1 for object_id in prompts.ids)])
