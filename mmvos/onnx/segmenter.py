"""OnnxSegmenter: follows the objects that prompts name, without torch; see `PromptedTracking`.

`mmvos.apis.VideoInferencer` takes it in the place of a model in torch.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.models.prompted_tracking import PromptedTracking
from mmvos.structures import Frame
from mmvos.structures.frame import FrameMeta

from .graph_set import SHIPPED, GraphSet
from .propagator import OnnxPropagator
from .siamese import OnnxSiamese

_TRACKERS = {'masktrack': OnnxPropagator, 'siammask': OnnxSiamese}


class OnnxSegmenter(PromptedTracking):
    """Video object segmentation from prompts, in arrays of numpy.

    Args:
        path, engine, threads: see `GraphSet`.

    Raises:
        GraphError, MissingEngineError: see `GraphSet`.
    """

    def __init__(
        self,
        path: str | Path = SHIPPED['masktrack'],
        engine: str = 'onnxruntime',
        threads: int | None = None,
    ) -> None:
        self.graphs = GraphSet(path, engine, threads)
        self.engine = engine
        settings = self.graphs.settings
        self.tracker = _TRACKERS[settings.system](self.graphs)
        self.merge = settings.merge
        self.dataset_meta = {'classes': (), 'category_ids': ()}

    def prepare(self, index: int, picture: NDArray[np.uint8]) -> Frame:
        """Resize and normalize a picture.

        Args:
            index: of the frame.
            picture: (H, W, 3) uint8 BGR.
        """
        settings = self.graphs.settings
        height, width = picture.shape[:2]
        size = (height, width)
        if settings.short_side is not None and settings.long_side is not None:
            size = network_size(height, width, settings.short_side, settings.long_side)
        new_height, new_width = size
        if size != (height, width):
            resized = cv2.resize(picture, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
            picture = np.asarray(resized, dtype=np.uint8)
        image = self._normalize(picture)
        scale = (new_width / width, new_height / height)
        meta = FrameMeta(index, (height, width), size, scale)
        return Frame(image, meta)

    def _normalize(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (1, 3, h, w): one channel after the other, which numpy does fastest."""
        settings = self.graphs.settings
        height, width = picture.shape[:2]
        image = np.empty((1, 3, height, width), dtype=np.float32)
        for channel in range(3):
            source = 2 - channel if settings.rgb else channel
            plane = picture[..., source]
            normalized = image[0, channel]
            np.subtract(plane, settings.mean[channel], out=normalized, dtype=np.float32)
            normalized /= settings.std[channel]
        return image

    def make_frame(self, batch: Frame) -> Frame:
        """Take a frame of ``prepare``."""
        return batch

    def identity(self) -> list[Any]:
        """The settings, which hold the hashes of all files, and the engine."""
        return [dataclasses.asdict(self.graphs.settings), self.engine]


def network_size(height: int, width: int, short_side: int, long_side: int) -> tuple[int, int]:
    """Return the size to which a picture is resized, as mmcv's ``rescale_size`` does.

    Args:
        height, width: of the picture.
        short_side, long_side: what its sides become at most.

    Returns:
        Height and width.
    """
    shorter = min(height, width)
    longer = max(height, width)
    factor = min(long_side / longer, short_side / shorter)
    # rounded half up
    new_height = int(height * factor + 0.5)
    new_width = int(width * factor + 0.5)
    return new_height, new_width
