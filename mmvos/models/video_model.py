"""VideoModel: a model that goes through a video frame by frame, with its state passed in and handed
back.

``run`` is the only loop over frames in the project; testing, the demo and online use all go through
it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmvos.structures import Frame, FrameMeta, FrameResult, Prompts


class VideoModel(BaseModel):
    """Base of the video models; a child gives ``init_state``, ``step``, ``remove`` and ``loss``.

    Args:
        data_preprocessor: config of the data preprocessor.
        channels_last: keep weights and features in channels-last order; about 1.7 times faster on
            CPUs.
        init_cfg: mmengine's weight initialisation.

    Attributes:
        takes_prompts: whether the model is told its objects; one that is not finds them.
    """

    takes_prompts = False

    def __init__(
        self,
        data_preprocessor: dict[str, Any],
        channels_last: bool = False,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.channels_last = channels_last
        self.compute_dtype = torch.float32

    @abstractmethod
    def init_state(self) -> Any:
        """The state before a video's first frame; it needs no frame and no prompt."""

    @abstractmethod
    def step(
        self, frame: Frame, state: Any, prompts: Prompts | None = None
    ) -> tuple[Any, FrameResult]:
        """Goes on by one frame.

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

    @abstractmethod
    def loss(self, inputs: Tensor, data_samples: list[BaseDataElement]) -> dict[str, Tensor]:
        """Losses of one preprocessed training batch."""

    @torch.no_grad()
    def run(
        self,
        frames: Iterable[Frame],
        prompts: Mapping[int, Prompts] | None = None,
        state: Any = None,
        after_step: Callable[[Any], object] | None = None,
    ) -> Iterator[FrameResult]:
        """Goes through a video and yields the result of each frame as soon as it is there.

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

    def make_frame(self, batch: dict[str, Any]) -> Frame:
        """Preprocesses a collated batch that holds a single frame.

        Args:
            batch: ``inputs`` and ``data_samples`` as lists of length 1, as the test pipeline and
                ``pseudo_collate`` give them.
        """
        batch = self.data_preprocessor(batch, False)
        image = batch['inputs'].flatten(0, -4)  # (1, 1, 3, H, W) or (1, 3, H, W) -> (1, 3, H, W)
        meta = frame_metainfo(batch['data_samples'][0])
        sx, sy = meta['scale_factor']
        return Frame(
            image,
            FrameMeta(
                int(meta['frame_id']),
                tuple(meta['ori_shape'][:2]),
                tuple(meta['img_shape'][:2]),
                (float(sx), float(sy)),
            ),
        )

    def forward(
        self, inputs: Tensor, data_samples: list[BaseDataElement] | None = None, mode: str = 'loss'
    ) -> dict[str, Tensor]:
        """Entry of mmengine's training. Videos are tested with ``run``, which carries the state
        from frame to frame.

        Raises:
            RuntimeError: ``mode`` is not 'loss'.
        """
        if mode != 'loss':
            raise RuntimeError(
                f'mode {mode!r}: a video model is tested frame by frame with run(); use '
                f'mmvos.VideoTestLoop'
            )
        assert data_samples is not None
        return self.loss(inputs, data_samples)

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which ``step`` computes: ``compute_dtype``, or what surrounds the model
        where that is float32.
        """
        reduced = self.compute_dtype != torch.float32
        enabled = reduced or torch.is_autocast_enabled(device.type)
        return torch.autocast(device.type, self.compute_dtype if reduced else None, enabled=enabled)


def frame_metainfo(sample: BaseDataElement) -> dict[str, Any]:
    """Return the metainfo of a test sample of one frame.

    Args:
        sample: a ``TrackDataSample`` of one frame, as a pipeline for videos packs it, or a
            ``DetDataSample``, as one for images does.
    """
    if isinstance(sample, TrackDataSample):
        sample = sample[0]
    metainfo: dict[str, Any] = sample.metainfo
    return metainfo
