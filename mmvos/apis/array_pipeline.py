"""The test pipeline of a config as a function of pictures in memory, where the pipeline itself
reads files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from mmvos.lazy_packages import lazy_packages

from .lean_build import TRANSFORMS, build_lean

with lazy_packages():
    from mmcv.transforms import Compose
    from mmdet.utils import get_test_pipeline_cfg
    from mmengine.dataset import pseudo_collate

_FILE_LOADERS = ('LoadFrame', 'LoadImageFromFile')


def array_pipeline(cfg: Config) -> Callable[[int, NDArray[np.uint8]], dict[str, Any]]:
    """The config's test pipeline as a function of frame index and picture (H, W, 3) BGR, which
    gives a collated batch of one sample; built once, for all frames.

    Raises:
        ValueError: the config has no test data loader.
    """
    if 'test_dataloader' not in cfg:
        raise ValueError(
            f'{cfg.filename or "the config"} has no test_dataloader, whose pipeline is used'
        )
    steps = [_from_array(step) for step in get_test_pipeline_cfg(cfg)]
    # Pipelines of video data sets go over lists of frames.
    in_lists = str(steps[0]['type']).endswith('TransformBroadcaster')
    pipeline = build_lean(steps, TRANSFORMS, Compose) or Compose(steps)

    def prepare(index: int, picture: NDArray[np.uint8]) -> dict[str, Any]:
        """Pack frame ``index``, an (H, W, 3) uint8 BGR picture, as a batch of one."""
        height, width = picture.shape[:2]
        record = {
            'img': picture,
            'img_id': index,
            'frame_id': index,
            'video_id': 1,
            'height': height,
            'width': width,
        }
        if in_lists:
            record = {key: [value] for key, value in record.items()}
        packed = pipeline(record)
        batch: dict[str, Any] = pseudo_collate([packed])
        return batch

    return prepare


def _from_array(step: Mapping[str, Any]) -> dict[str, Any]:
    """The step of a pipeline, taking pictures where it would read files."""
    if str(step['type']).endswith(_FILE_LOADERS):
        return {'type': 'mmdet.LoadImageFromNDArray'}
    adapted = dict(step)
    inner = step.get('transforms')
    if inner:
        adapted['transforms'] = [_from_array(item) for item in inner]
    return adapted
