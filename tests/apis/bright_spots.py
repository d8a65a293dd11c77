"""A video model that is quick and whose answers are known: it segments what is bright."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from mmvos.models import VideoModel
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameResult, Prompts, TrackedObject, rle

HEIGHT, WIDTH = 48, 64
NTSC = Fraction(30000, 1001)


@MODELS.register_module(force=True)
class BrightSpots(VideoModel):
    """Object 1 is the red above its only weight, object 2 the green; labels 0, 1. The state: frames
    so far, what to show.
    """

    def __init__(self, data_preprocessor):
        super().__init__(data_preprocessor)
        self.threshold = nn.Parameter(torch.tensor(128.0))

    def init_state(self) -> tuple[int, frozenset[int]]:
        return 0, frozenset({1, 2})

    def step(
        self, frame: Frame, state: tuple[int, frozenset[int]], prompts: Prompts | None = None
    ) -> tuple[tuple[int, frozenset[int]], FrameResult]:
        count, shown = state
        assert frame.meta.index == count
        height, width = frame.meta.original_shape
        objects = []
        for label, score in ((0, 0.9), (1, 0.2)):
            mask = (frame.image[0, 2 - label, :height, :width] > self.threshold).numpy()
            if mask.any() and label + 1 in shown:
                code = rle.encode(mask)
                objects.append(TrackedObject(label + 1, label, score, rle.bounding_box(code), code))
        return (count + 1, shown), FrameResult(frame.meta.index, (height, width), tuple(objects))

    def remove(
        self, state: tuple[int, frozenset[int]], object_id: int
    ) -> tuple[int, frozenset[int]]:
        return state[0], state[1] - {object_id}

    def loss(self, inputs, data_samples):
        raise NotImplementedError


def bright_spots_config() -> Config:
    pipeline = [
        {
            'type': 'TransformBroadcaster',
            'transforms': [
                {'type': 'mmvos.LoadFrame'},
                {'type': 'Resize', 'scale_factor': 1.0, 'keep_ratio': True},
            ],
        },
        {
            'type': 'PackTrackInputs',
            'default_meta_keys': ('img_id', 'ori_shape', 'img_shape', 'scale_factor', 'frame_id'),
        },
    ]
    meta = {'classes': ('red', 'green'), 'category_ids': [7, 3]}
    return Config(
        {
            'model': {
                'type': 'mmvos.BrightSpots',
                'data_preprocessor': {'type': 'TrackDataPreprocessor', 'pad_size_divisor': 32},
            },
            'test_dataloader': {'dataset': {'pipeline': pipeline, 'metainfo': meta}},
        }
    )


def picture(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) BGR: a red square that moves right and starts anew, in even frames a green bar."""
    image = np.full((height, width, 3), 40, np.uint8)
    left = index % (width - 16)
    image[8:24, left : left + 16] = (0, 0, 255)
    if index % 2 == 0:
        image[32:40, 4:60] = (0, 255, 0)
    return image


def write_mp4(
    path: Path, pictures: list[np.ndarray], fps: Fraction = NTSC, rotation: int = 0
) -> Path:
    """A lossless H.264 file."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264rgb', rate=fps, options={'crf': '0'})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = 'rgb24'
        if rotation:
            stream.set_display_rotation(rotation)
        for image in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
        container.mux(stream.encode(None))
    return path
