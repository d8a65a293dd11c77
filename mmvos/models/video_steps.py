"""VideoSteps: what goes through a video frame by frame, with its state passed in and handed back.

``run`` is the only loop over frames in the project; testing, the demo and online use all go through
it. `VideoModel` is one whose network is in torch; `mmvos.onnx` has one whose network is a set of
ONNX graphs. Nothing here imports torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mmvos.structures import Frame, FrameResult, Prompts


class VideoSteps(ABC):
    """Base of all that goes through videos; a child gives ``init_state``, ``step`` and ``remove``.

    Attributes:
        takes_prompts: whether it is told its objects; one that is not finds them.
        keeps_soft_masks: whether its results hold the probabilities of the masks; only models that
            take prompts can.
        dataset_meta: ``classes`` and ``category_ids`` of what it finds.
    """

    takes_prompts = False
    keeps_soft_masks = False
    dataset_meta: dict[str, Any]

    @abstractmethod
    def init_state(self) -> Any:
        """The state before a video's first frame; it needs no frame and no prompt."""

    @abstractmethod
    def step(
        self, frame: Frame, state: Any, prompts: Prompts | None = None
    ) -> tuple[Any, FrameResult]:
        """Go on by one frame.

        Args:
            frame: the next frame of the video.
            state: from ``init_state`` or the previous step; it is never changed, so a step can be
                replayed.
            prompts: what is said about this frame.

        Returns:
            The state after the frame, and the frame's result.
        """

    @abstractmethod
    def remove(self, state: Any, object_id: int) -> Any:
        """The state without an object, which no later result shows; the given state is not changed.

        Raises:
            ValueError: the state knows no such object.
        """

    def keep_memory(self, state: Any) -> dict[int, Any]:
        """By id what is remembered of the objects that were given in the frame before.

        Args:
            state: after the first step, which had a prompt.

        Returns:
            What ``recall`` takes. Here, of a model that takes no prompts, nothing.
        """
        return {}

    def recall(self, state: Any, prompted: Mapping[int, Sequence[Any]]) -> Any:
        """The state, in which objects remember other frames in which they were given.

        Args:
            state: after any frame; it is not changed.
            prompted: by id what ``keep_memory`` kept of frames in which the object was given, the
                most important first; these frames may come later in the video. An object that is
                not named keeps its memory.

        Returns:
            The new state. Here, of a model that takes no prompts, it is as it was.
        """
        return state

    def inference_step(
        self, frame: Frame, state: Any, prompts: Prompts | None = None
    ) -> tuple[Any, FrameResult]:
        """Go on by one frame, without gradients; see ``step``."""
        return self.step(frame, state, prompts)

    def run(
        self,
        frames: Iterable[Frame],
        prompts: Mapping[int, Prompts] | None = None,
        state: Any = None,
        after_step: Callable[[Any], object] | None = None,
    ) -> Iterator[FrameResult]:
        """Go through a video and yields the result of each frame as soon as it is there.

        Args:
            frames: the frames in order; they are taken one at a time, so memory does not grow with
                the video.
            prompts: by frame index.
            state: where to go on, after the frame before the first of ``frames``; by default the
                video begins.
            after_step: is told the state after each frame, before its result is yielded.

        Raises:
            ValueError: a prompt names a frame that the video does not have.
        """
        waiting = dict(prompts or {})
        if state is None:
            state = self.init_state()
        for frame in frames:
            state, result = self.step(frame, state, waiting.pop(frame.meta.index, None))
            if after_step is not None:
                after_step(state)
            yield result
        if waiting:
            raise ValueError(
                f'the video has no frame {sorted(waiting)[0]}, for which there is a prompt'
            )

    @abstractmethod
    def make_frame(self, batch: Any) -> Frame:
        """Make a frame of a picture that has been prepared."""

    @abstractmethod
    def identity(self) -> list[Any]:
        """Everything that decides its results, settings and weights, as plain values and arrays."""

    def autocast(self, device: Any) -> AbstractContextManager[Any]:
        """The context in which ``step`` computes on a device."""
        return nullcontext()
