"""Videos in the folders of DAVIS and YouTube-VOS whose objects are told apart by color alone, and a
model that sees exactly that.

The model is an oracle: of the objects that it has been told, it gives the ground truth, so any loss
between prompts and scores shows. Frames are PNGs, which lose nothing. Object n has the color (40 n,
255, 0) in B, G, R.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from numpy.typing import NDArray
from torch import Tensor, nn

from mmvos.io.label_png import write_label_png
from mmvos.models import VideoModel
from mmvos.models.tracker import PromptedObjects, TrackedState, Tracker
from mmvos.registry import MODELS
from mmvos.structures import UNKNOWN_LABEL, Frame, FrameResult, Prompts, TrackedObject, rle

HEIGHT, WIDTH = 48, 64
PIPELINE = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale=(2000, HEIGHT), keep_ratio=True),
        ],
    ),
    dict(
        type='PackTrackInputs',
        default_meta_keys=(
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'frame_id',
            'video_id',
            'video_length',
        ),
    ),
]


def label_map(index: int, first: Mapping[int, int], length: int) -> NDArray[np.uint8]:
    """(H, W) uint8: objects that move to the right, each from the frame given in ``first`` on;
    object 1 leaves at the end.
    """
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for place, (number, start) in enumerate(first.items()):
        if index >= start and not (number == 1 and index == length - 1 and length > 4):
            top, left = 2 + 15 * place, 3 + 2 * index + 5 * place
            labels[top : top + 12, left : left + 16] = number
            labels[top + 4 : top + 8, left + 6 : left + 10] = 0  # a hole
    return labels


def picture(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) BGR of a label map."""
    image = np.full((*labels.shape, 3), 90, np.uint8)
    for number in np.unique(labels[labels > 0]):
        image[labels == number] = (40 * int(number), 255, 0)
    return image


def write_videos(
    root: Path,
    videos: Mapping[str, tuple[int, Mapping[int, int]]],
    every: int = 1,
    folder: str = '',
) -> Path:
    """Writes JPEGImages and Annotations.

    Args:
        videos: name -> (length, first frame of each object).
        every: annotated frames, beside those in which an object begins: 0, every, 2 every, ...; 0
            for none.
        folder: '480p' as DAVIS has it.
    """
    for name, (length, first) in videos.items():
        images, masks = (root / kind / folder / name for kind in ('JPEGImages', 'Annotations'))
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for index in range(length):
            labels = label_map(index, first, length)
            cv2.imwrite(str(images / f'{index:05d}.png'), picture(labels))
            if index in first.values() or (every and index % every == 0):
                write_label_png(masks / f'{index:05d}.png', labels)
    return root


def write_vot(root: Path, names: str = 's', length: int = 12) -> Path:
    """VOT sequences of a square of object 1's color that moves by 2 px a frame.

    Pixels 10 + 2 t ... 25 + 2 t in x, 12 ... 27 in y; the truth has 4 numbers a line, in sequence
    'p' 8.
    """
    for name in names:
        lines = []
        for t in range(length):
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[12:28, 10 + 2 * t : 26 + 2 * t] = 1
            (root / name / 'color').mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / name / 'color' / f'{t + 1:08d}.png'), picture(labels))
            left, right = 10 + 2 * t, 25 + 2 * t
            lines.append(
                f'{left},12,{right},12,{right},27,{left},27\n'
                if name == 'p'
                else f'{left},12,16,16\n'
            )
        (root / name / 'groundtruth.txt').write_text(''.join(lines))
    return root


def write_split(root: Path, name: str, videos: list[str]) -> None:
    """ROOT/ImageSets/NAME.txt"""
    path = root / 'ImageSets' / f'{name}.txt'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(videos) + '\n')


def write_meta(root: Path, videos: Mapping[str, Mapping[int, list[str]]]) -> None:
    """ROOT/meta.json as YouTube-VOS has it: video -> object -> frames."""
    content = {
        name: {
            'objects': {
                str(i): {'category': 'thing', 'frames': frames} for i, frames in objects.items()
            }
        }
        for name, objects in videos.items()
    }
    (root / 'meta.json').write_text(json.dumps({'videos': content}))


@MODELS.register_module(force=True)
class ColorOracle(VideoModel):
    """Finds the told objects by their color. The state is the ids told so far.

    Args:
        data_preprocessor: see ``VideoModel``.
        keep: gives the prompted masks again and again instead (a copying model).
    """

    def __init__(self, data_preprocessor: dict[str, Any], keep: bool = False) -> None:
        super().__init__(data_preprocessor)
        self.keep = keep
        self.weight = nn.Parameter(torch.zeros(1))

    def init_state(self) -> dict[int, NDArray[np.bool_]]:
        return {}

    def step(
        self, frame: Frame, state: dict[int, NDArray[np.bool_]], prompts: Prompts | None = None
    ) -> tuple[Any, FrameResult]:
        shape = frame.meta.original_shape
        assert shape == frame.meta.network_shape, 'the oracle sees no scaled frames'
        if prompts is not None:
            prompts = prompts.fitted(*shape)
            state = {
                **state,
                **{i: self._given(prompts, k, shape) for k, i in enumerate(prompts.ids)},
            }
        objects = []
        for number in sorted(state):
            mask = (
                state[number]
                if self.keep
                else color_mask(frame.image, number)[: shape[0], : shape[1]]
            )
            code = rle.encode(mask)
            objects.append(
                TrackedObject(
                    number, UNKNOWN_LABEL, float(mask.any()), rle.bounding_box(code), code
                )
            )
        return state, FrameResult(frame.meta.index, shape, tuple(objects))

    def _given(self, prompts: Prompts, k: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
        mask = prompts.masks[k]
        if mask is None:
            x1, y1, x2, y2 = (int(value) for value in prompts.boxes[k])
            mask = np.zeros(shape, dtype=bool)
            mask[y1:y2, x1:x2] = True
        return mask

    def remove(
        self, state: dict[int, NDArray[np.bool_]], object_id: int
    ) -> dict[int, NDArray[np.bool_]]:
        return {number: mask for number, mask in state.items() if number != object_id}

    def loss(self, inputs: Tensor, data_samples: Any) -> dict[str, Tensor]:
        return dict(loss=self.weight.sum())


@MODELS.register_module(force=True)
class ColorTracker(Tracker[TrackedState]):
    """The same oracle as tracker of a ``PromptedSegmenter``: probabilities 0 and 1."""

    def start(self, frame: Frame, objects: PromptedObjects) -> tuple[Tensor, Any]:
        states = tuple(TrackedState(id=int(i)) for i in objects.ids)
        return self.propagate(frame, states)[0], states

    def propagate(
        self, frame: Frame, states: Sequence[TrackedState]
    ) -> tuple[Tensor, tuple[TrackedState, ...]]:
        masks = [torch.from_numpy(color_mask(frame.image, state.id)) for state in states]
        maps = torch.stack(masks) if masks else torch.zeros(0, *frame.image.shape[2:])
        return maps.float(), tuple(states)

    def commit(self, states: tuple[TrackedState, ...], merged: Tensor) -> tuple[TrackedState, ...]:
        assert len(states) == len(merged)
        return states

    def loss(self, inputs: Tensor, data_samples: Any) -> dict[str, Tensor]:
        raise NotImplementedError


SEGMENTER = dict(type='mmvos.PromptedSegmenter', tracker=dict(type='mmvos.ColorTracker'))


def color_mask(image: Tensor, number: int) -> NDArray[np.bool_]:
    """(H, W) bool, where a (1, 3, H, W) BGR image has the color of an object."""
    return ((image[0, 0] == 40 * number) & (image[0, 1] == 255)).numpy()


def config(
    dataset: Mapping[str, Any], evaluator: Mapping[str, Any] | None = None, **model: Any
) -> Config:
    """The oracle, tested and validated on a data set."""
    loader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='mmvos.VideoSampler'),
        dataset=dict(type='mmvos.MaskVideoDataset', pipeline=PIPELINE) | dict(dataset),
    )
    preprocessor = dict(type='TrackDataPreprocessor', pad_size_divisor=32)
    return Config(
        dict(
            model=dict(type='mmvos.ColorOracle', data_preprocessor=preprocessor) | model,
            test_dataloader=loader,
            test_cfg=dict(type='mmvos.VideoTestLoop'),
            test_evaluator=dict(evaluator or {}) or [],
            val_dataloader=loader,
            val_cfg=dict(type='mmvos.VideoValLoop'),
            val_evaluator=dict(evaluator or {}) or [],
            default_scope='mmdet',
            log_level='INFO',
            default_hooks=dict(checkpoint=None),
            env_cfg=dict(
                mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
                dist_cfg=dict(backend='gloo'),
            ),
            custom_imports=dict(
                imports=['mmvos', 'saboteur', 'colored_videos'], allow_failed_imports=False
            ),
        )
    )
