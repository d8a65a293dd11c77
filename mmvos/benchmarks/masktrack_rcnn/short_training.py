"""A training of MaskTrack R-CNN on pairs that are made up as they are asked for: what a long one
does to a process' memory, without data, weights or a network.

Each pair has a size of its own, as numbers of RoIs and of positive cells have in any training, so
that a step allocates tensors which the gaps of the step before do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mmvos.datasets.bitmap_masks import FrameMasks
from mmvos.datasets.transforms import PackFrames
from mmvos.registry import DATASETS

OBJECTS = 2  # in each frame
_ROOT = Path(__file__).resolve().parents[3]
_CONFIG = 'configs/masktrack_rcnn/masktrack-rcnn_r50_fpn_composed.py'
# Smallest and largest sides of a picture, in pixels.
_WIDTHS = (64, 160)
_HEIGHTS = (36, 90)
# Padded to multiples of these pixels, they have about 100 shapes.
_PAD_DIVISOR = 8
# Narrow heads and few RoIs: most of what a step allocates is the backbone's and the pyramid's.
_HEAD_UNITS = 128
_ROIS = 16


@DATASETS.register_module()
class MadeUpPairs(Dataset[dict[str, Any]]):
    """Pairs of a key and a reference frame, in which `OBJECTS` ovals move by some pixels.

    An item depends on its index alone.

    Args:
        length: number of pairs.
        num_classes: of which the ovals are.
        meta_keys: of ``PackFrames``.
    """

    def __init__(self, length: int, num_classes: int, meta_keys: list[str]) -> None:
        self.length = length
        self.metainfo = dict(classes=tuple(f'oval {index}' for index in range(num_classes)))
        self.pack = PackFrames(meta_keys, decode_references=False)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Draw a pair, packed as a data set's pipeline does."""
        random = np.random.default_rng(index)
        width = int(random.integers(*_WIDTHS, endpoint=True))
        height = int(random.integers(*_HEIGHTS, endpoint=True))
        labels = random.integers(len(self.metainfo['classes']), size=OBJECTS)

        # Centers and half axes in shares of the frame; the reference frame's are a bit further.
        centers = random.uniform(0.25, 0.75, (OBJECTS, 2))
        axes = random.uniform(0.1, 0.25, (OBJECTS, 2))
        pair: dict[str, Any] = dict(
            img=[], gt_masks=[], gt_bboxes=[], gt_bboxes_labels=[labels, labels]
        )
        for shift in (0.0, 0.04):
            masks = _ovals(centers + shift, axes, width, height)
            noise = random.integers(0, 120, (height, width, 3), dtype=np.uint8)
            bright = masks.max(axis=0) > 0
            noise[bright] = 255 - noise[bright]
            pair['img'].append(noise)
            pair['gt_masks'].append(FrameMasks(masks, height, width))
            pair['gt_bboxes'].append(_boxes(masks))
        return self.pack(pair | _facts(index, width, height))


def _facts(index: int, width: int, height: int) -> dict[str, Any]:
    """Return what stands beside the pixels of both frames of a pair."""
    shape = (height, width)
    ids = np.arange(1, OBJECTS + 1)
    return dict(
        gt_instances_ids=[ids, ids],
        key_frame_flags=[True, False],
        img_id=[2 * index, 2 * index + 1],
        frame_id=[0, 1],
        video_id=[index, index],
        video_length=[2, 2],
        ori_shape=[shape, shape],
        img_shape=[shape, shape],
        scale_factor=[(1.0, 1.0), (1.0, 1.0)],
    )


def _ovals(
    centers: NDArray[np.float64], axes: NDArray[np.float64], width: int, height: int
) -> NDArray[np.uint8]:
    """Return the masks (N, H, W) of ovals; centers and half axes (N, 2) are shares of the frame."""
    # whole pixels
    size = np.array([width, height])
    places = np.rint(centers * size).astype(int)
    halves = np.rint(axes * size).astype(int)

    # one oval a mask
    masks = np.zeros((len(centers), height, width), np.uint8)
    for mask, place, half in zip(masks, places, halves, strict=True):
        x, y = place.tolist()
        along, across = half.tolist()
        cv2.ellipse(mask, (x, y), (along, across), 0, 0, 360, 1, cv2.FILLED)
    return masks


def _boxes(masks: NDArray[np.uint8]) -> torch.Tensor:
    """Return the boxes (N, 4) xyxy of masks (N, H, W), in pixels."""
    boxes = []
    for mask in masks:
        left, top, width, height = cv2.boundingRect(mask)
        boxes.append((left, top, left + width, top + height))
    return torch.tensor(boxes, dtype=torch.float32)


class _AfterIteration(Hook):
    """Calls a function after each iteration, before freed memory is returned.

    Args:
        after: number of iterations that are done -> whether to go on.
    """

    priority = 'VERY_HIGH'

    def __init__(self, after: Callable[[int], bool]) -> None:
        self.after = after

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Call it.

        Raises:
            _Ended: it does not want to go on.
        """
        if not self.after(batch_idx + 1):
            raise _Ended


class _Ended(Exception):
    """No further iteration is wanted."""


def training_config(iterations: int, folder: Path, returns_memory: bool = True) -> Config:
    """Return the config of the training: the shipped one of ResNet-50 with its hooks, made short.

    Args:
        iterations: of the training, of one pair each.
        folder: for logs.
        returns_memory: with ``ReturnMemoryHook``, as all shipped configs have it.
    """
    config = Config.fromfile(_ROOT / _CONFIG)
    # The model, with narrow heads and few RoIs.
    model = config.model
    model.data_preprocessor.pad_size_divisor = _PAD_DIVISOR
    model.detector.roi_head.bbox_head.fc_out_channels = _HEAD_UNITS
    model.track_head.fc_out_channels = _HEAD_UNITS
    model.detector.train_cfg.rcnn.sampler.num = _ROIS

    # The data, loaded in this process.
    config.train_dataloader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='mmvos.MadeUpPairs',
            length=iterations,
            num_classes=config.num_classes,
            meta_keys=config.meta_keys,
        ),
    )
    # Iterations without validation; a small rate, as the weights are random.
    config.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations + 1
    )
    config.optim_wrapper.optimizer = dict(type='SGD', lr=1e-4, momentum=0.9)
    config.param_scheduler = None
    for part in ('dataloader', 'cfg', 'evaluator'):
        config[f'val_{part}'] = None
        config[f'test_{part}'] = None

    # The project's hooks, without files of weights.
    config.default_hooks.checkpoint = None
    if not returns_memory:
        del config.default_hooks['memory']
    config.log_processor.by_epoch = False
    config.load_from = None
    config.work_dir = str(folder)
    return config


def train(config: Config, after: Callable[[int], bool]) -> None:
    """Train, and write what the training says into a file of its folder.

    Args:
        config: of ``training_config``.
        after: called after each iteration with the number of those that are done; the training
            ends where it returns False.
    """
    with (
        open(Path(config.work_dir, 'output.txt'), 'w', encoding='utf-8') as output,
        redirect_stdout(output),
        redirect_stderr(output),
    ):
        runner = Runner.from_cfg(config)
        runner.register_hook(_AfterIteration(after))
        try:
            runner.train()
        except _Ended:
            return
