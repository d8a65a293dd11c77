"""LiveVideo: one video that its caller goes through frame by frame, adding and removing objects on
the way.

The model's state goes in and comes out of ``VideoModel.step``; it is kept here from one call to the
next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray

from mmvos.models import VideoModel
from mmvos.structures import FrameResult, Prompts


class LiveVideo:
    """A video from its first frame on.

    Args:
        model: in evaluation mode.
        prepare: frame index and picture (H, W, 3) uint8 BGR -> packed sample.
        prompts: by frame index.

    Attributes:
        index: of the next frame, from 0.
        free_id: an id that no object of this video has or had.
    """

    def __init__(
        self,
        model: VideoModel,
        prepare: Callable[[int, NDArray[np.uint8]], dict[str, Any]],
        prompts: Mapping[int, Prompts],
    ) -> None:
        self.model, self.prepare = model, prepare
        self.index = 0
        self.free_id = 1
        self._state = model.init_state()
        self._shape: tuple[int, ...] | None = None
        self._waiting: dict[int, Prompts] = {}
        self._removed: set[int] = set()
        for frame_index, said in prompts.items():
            self._add(frame_index, said)

    @torch.no_grad()
    def step(self, picture: NDArray[np.uint8]) -> FrameResult:
        """The objects of the next frame.

        Raises:
            ValueError: the picture has another size than those before it, or an added object does
                not fit it; the video is then as it was, without the objects added to this frame.
        """
        if self._shape not in (None, picture.shape):
            height, width = picture.shape[:2]
            raise ValueError(
                f'frame {self.index} is {width}x{height} but the first frame is '
                f'{self._shape[1]}x{self._shape[0]}; '
                f'all frames of a video must have one size, start anew for another'
            )
        prompts = self._waiting.pop(self.index, None)
        frame = self.model.make_frame(pseudo_collate([self.prepare(self.index, picture)]))
        self._state, result = self.model.step(frame, self._state, prompts)
        self._shape = picture.shape
        self.index += 1
        return result

    def add(self, prompts: Prompts) -> None:
        """Adds objects in the next frame; a known id starts that object anew.

        Raises:
            ValueError: an object with this id was removed.
        """
        self._add(self.index, prompts)

    def remove(self, object_id: int) -> None:
        """Removes an object for good, also one that waits for its frame.

        Raises:
            ValueError: there is no such object.
        """
        waiting = {index: said for index, said in self._waiting.items() if object_id in said.ids}
        try:
            self._state = self.model.remove(self._state, object_id)
        except ValueError:
            if not waiting:
                raise
        for index, said in waiting.items():
            rest = _without(said, {object_id})
            if rest.ids:
                self._waiting[index] = rest
            else:
                del self._waiting[index]
        self._removed.add(object_id)

    def _add(self, index: int, prompts: Prompts) -> None:
        again = sorted(self._removed & set(prompts.ids))
        if again:
            raise ValueError(
                f'object {again[0]} was removed from this video, and its id is not given again; '
                f'the next free one '
                f'is {self.free_id}'
            )
        earlier = _without(self._waiting.get(index, Prompts((), (), ())), set(prompts.ids))
        self._waiting[index] = Prompts(
            earlier.ids + prompts.ids, earlier.masks + prompts.masks, earlier.boxes + prompts.boxes
        )
        self.free_id = max(self.free_id, *(object_id + 1 for object_id in prompts.ids))


def _without(prompts: Prompts, ids: set[int]) -> Prompts:
    kept = [k for k, object_id in enumerate(prompts.ids) if object_id not in ids]
    return Prompts(
        tuple(prompts.ids[k] for k in kept),
        tuple(prompts.masks[k] for k in kept),
        tuple(prompts.boxes[k] for k in kept),
    )
