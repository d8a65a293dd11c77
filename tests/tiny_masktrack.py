"""A MaskTrack R-CNN and frames so small that a step takes hundredths of a second: the shipped
sample config with few channels.

ResNet-18, 16 channels, frames of 64 x 64 pixels, 5 classes. With its random weights every class has
a score of about 1/6, so the model detects ten objects in any frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import mmvos.datasets
import mmvos.engine
import mmvos.models  # noqa: F401 registers the parts
from mmvos.models import MaskTrackRCNN
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameMeta

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
SAMPLE = CONFIGS / 'masktrack_rcnn/masktrack-rcnn_r18_fpn_sample.py'
SIZE = 64
TINY_OPTIONS = {
    'model.both_frames_as_key': False,
    'model.detector.neck.out_channels': 16,
    'model.detector.rpn_head.in_channels': 16,
    'model.detector.rpn_head.feat_channels': 16,
    'model.detector.roi_head.bbox_roi_extractor.out_channels': 16,
    'model.detector.roi_head.mask_roi_extractor.out_channels': 16,
    'model.detector.roi_head.bbox_head.in_channels': 16,
    'model.detector.roi_head.bbox_head.num_shared_convs': 0,
    'model.detector.roi_head.bbox_head.num_shared_fcs': 2,
    # batch statistics of RoIs would differ between processes
    'model.detector.roi_head.bbox_head.norm_cfg': None,
    'model.detector.roi_head.bbox_head.loss_cls.loss_weight': 1.0,
    'model.detector.roi_head.bbox_head.fc_out_channels': 32,
    'model.detector.roi_head.mask_head.in_channels': 16,
    'model.detector.roi_head.mask_head.conv_out_channels': 16,
    'model.track_head.in_channels': 16,
    'model.track_head.fc_out_channels': 32,
}


def tiny_config(**overrides: Any) -> Config:
    """The sample config with few channels; overrides have dots written as two underscores."""
    config = Config.fromfile(SAMPLE)
    config.merge_from_dict(
        TINY_OPTIONS | {key.replace('__', '.'): value for key, value in overrides.items()}
    )
    return config


def tiny_model(seed: int = 0, **overrides: Any) -> MaskTrackRCNN:
    """The model with random weights, in evaluation mode."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    model = MODELS.build(tiny_config(**overrides).model)
    model.init_weights()
    return model.eval()


def picture(seed: int = 0, height: int = SIZE, width: int = SIZE) -> np.ndarray:
    """(H, W, 3) uint8, blurred noise."""
    noise = np.random.default_rng(seed).integers(
        0, 256, (height // 8, width // 8, 3), dtype=np.uint8
    )
    return np.kron(noise, np.ones((8, 8, 1), dtype=np.uint8))


def frame(index: int, seed: int | None = None, size: int = SIZE) -> Frame:
    """A preprocessed frame whose original pixels are half a network pixel wide (scale 2)."""
    image = (
        torch.from_numpy(picture(index if seed is None else seed, size, size))
        .permute(2, 0, 1)[None]
        .float()
        / 64
        - 2
    )
    return Frame(image, FrameMeta(index, (size // 2, size // 2), (size, size), (2.0, 2.0)))


def instances(
    boxes: list[list[float]], labels: list[int], ids: list[int], size: int = SIZE
) -> InstanceData:
    """Ground truth of one frame; the mask of an object is its box."""
    masks = np.zeros((len(boxes), size, size), dtype=np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[int(y1) : int(y2), int(x1) : int(x2)] = 1
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
        masks=BitmapMasks(masks, size, size),
        instances_ids=torch.tensor(ids, dtype=torch.int32),
    )


def pair(
    key: InstanceData, reference: InstanceData, seed: int = 0, size: int = SIZE
) -> dict[str, Any]:
    """A key and a reference frame as the training pipeline packs them."""
    sample = TrackDataSample()
    frames = []
    for t, gt_instances in enumerate((key, reference)):
        item = DetDataSample(gt_instances=gt_instances, ignored_instances=InstanceData())
        item.set_metainfo(
            dict(
                img_id=t,
                img_path=f'video{seed}/{t:05d}.jpg',
                ori_shape=(size, size),
                img_shape=(size, size),
                scale_factor=(1.0, 1.0),
                flip=False,
                frame_id=t,
                video_id=1,
                video_length=2,
            )
        )
        frames.append(item)
    sample.video_data_samples = frames
    sample.set_metainfo(dict(key_frames_inds=[0], ref_frames_inds=[1]))
    images = np.stack([picture(seed * 2 + t, size, size) for t in range(2)])
    return dict(
        inputs=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), data_samples=sample
    )


def batch(*pairs: dict[str, Any]) -> dict[str, list[Any]]:
    """Pairs as the loader collates them."""
    return dict(
        inputs=[item['inputs'] for item in pairs],
        data_samples=[item['data_samples'] for item in pairs],
    )


def two_objects(seed: int = 0) -> dict[str, Any]:
    """A pair in which object 1 is in both frames and object 2 only in the key frame."""
    return pair(
        instances([[4, 4, 30, 30], [34, 30, 60, 62]], [1, 0], [1, 2]),
        instances([[8, 6, 34, 32]], [1], [1]),
        seed,
    )
