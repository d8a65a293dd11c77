"""How a picture becomes what a model makes a frame of; done beside the model, in another thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.models.video_steps import VideoSteps
from mmvos.onnx.segmenter import OnnxSegmenter

Prepare = Callable[[int, NDArray[np.uint8]], Any]  # of frame index and picture (H, W, 3) BGR


def frame_preparation(model: VideoSteps) -> Prepare:
    """Return the function that prepares the pictures of a video for a model.

    Raises:
        ValueError: the model's config has no test pipeline.
    """
    if isinstance(model, OnnxSegmenter):
        return model.prepare
    from mmvos.models.video_model import VideoModel

    from .array_pipeline import array_pipeline

    assert isinstance(model, VideoModel)
    return array_pipeline(model.cfg)
