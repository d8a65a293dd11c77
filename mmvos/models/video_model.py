"""VideoModel: a network in torch that goes through a video frame by frame; see `VideoSteps`."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmvos.structures import Frame, FrameMeta, FrameResult, Prompts

from .video_steps import VideoSteps


class VideoModel(VideoSteps, BaseModel):
    """Base of the models in torch; a child gives ``init_state``, ``step``, ``remove``, ``loss``.

    Args:
        data_preprocessor: config of the data preprocessor.
        channels_last: keep weights and features in channels-last order; about 1.7 times faster on
            CPUs.
        init_cfg: mmengine's weight initialisation.
    """

    def __init__(
        self,
        data_preprocessor: dict[str, Any],
        channels_last: bool = False,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        check_preprocessor(data_preprocessor)
        # the host does not wait until the data has arrived on a device
        super().__init__({'non_blocking': True, **data_preprocessor}, init_cfg)
        self.channels_last = channels_last
        self.compute_dtype = torch.float32

    @abstractmethod
    def loss(self, inputs: Tensor, data_samples: list[BaseDataElement]) -> dict[str, Tensor]:
        """Losses of one preprocessed training batch."""

    @torch.no_grad()
    def inference_step(
        self, frame: Frame, state: Any, prompts: Prompts | None = None
    ) -> tuple[Any, FrameResult]:
        """Go on by one frame, without gradients; see ``VideoSteps.step``."""
        return self.step(frame, state, prompts)

    @torch.no_grad()
    def run(
        self,
        frames: Iterable[Frame],
        prompts: Mapping[int, Prompts] | None = None,
        state: Any = None,
        after_step: Callable[[Any], object] | None = None,
    ) -> Iterator[FrameResult]:
        """Go through a video without gradients; see ``VideoSteps.run``."""
        yield from super().run(frames, prompts, state, after_step)

    def identity(self) -> list[Any]:
        """The config and the weights."""
        config = json.dumps(self.cfg.to_dict(), sort_keys=True, default=str)
        weights = {
            name: value for name, value in self.state_dict().items() if torch.is_tensor(value)
        }
        return [config, weights]

    def make_frame(self, batch: dict[str, Any]) -> Frame:
        """Preprocess a collated batch that holds a single frame.

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
        dtype = self.compute_dtype if reduced else None
        return torch.autocast(device.type, dtype, enabled=enabled)


def check_preprocessor(settings: Mapping[str, Any]) -> None:
    """Refuse numbers by which no image can be divided; mmdet's preprocessor takes any.

    Args:
        settings: config of the data preprocessor.

    Raises:
        ValueError: a standard deviation or the divisor of the padded size is not above 0.
    """
    std = settings.get('std') or ()
    if min(std, default=1) <= 0:
        raise ValueError(f'data_preprocessor: std must be above 0, not {list(std)}')
    divisor = settings.get('pad_size_divisor', 1)
    if divisor < 1:
        raise ValueError(f'data_preprocessor: pad_size_divisor must be at least 1, not {divisor}')


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
