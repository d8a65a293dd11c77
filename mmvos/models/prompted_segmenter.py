"""PromptedSegmenter: follows the objects that prompts name, with a tracker in torch.

`PromptedTracking` says how a frame is gone through.
"""

from __future__ import annotations

from typing import Any

from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.ops.memory_format import to_channels_last
from mmvos.registry import MODELS

from .prompted_tracking import PromptedTracking
from .tracker import Tracker
from .video_model import VideoModel


@MODELS.register_module()
class PromptedSegmenter(PromptedTracking, VideoModel):
    """Video object segmentation from prompts.

    Args:
        tracker: config of the tracker; it has the weights.
        data_preprocessor: config of mmdet's ``TrackDataPreprocessor``.
        merge: 'soft' (odds normalized over the objects), 'hard' (the most certain object takes the
            pixel, of equal ones the last) or 'hard-first' (of equal ones the first).
        init_cfg: mmengine's weight initialization.
    """

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
        to_channels_last(self)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Return the losses of B clips of T frames; see the tracker's ``loss``.

        Args:
            inputs: (B, T, 3, H, W) normalized.
            data_samples: B of them.
        """
        losses: dict[str, Tensor] = self.tracker.loss(inputs, data_samples)
        return losses
