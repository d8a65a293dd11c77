"""PackClip: what the model side reads."""

from __future__ import annotations

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks

from mmvos.datasets import PackClip


def test_packs_clip() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (6, 8, 3), dtype=np.uint8) for _ in range(2)]
    masks = [BitmapMasks(rng.integers(0, 2, (3, 6, 8), dtype=np.uint8), 6, 8) for _ in range(2)]
    guides = [rng.uniform(-1, 1, (3, 6, 8)).astype(np.float32) for _ in range(2)]
    kinds = [np.array([0, 1, 2]), np.array([1, 3, 1])]
    packed = PackClip().transform(
        dict(
            img=images,
            img_id=[4, 6],
            img_path=['a', 'b'],
            img_shape=[(6, 8)] * 2,
            ori_shape=[(60, 80)] * 2,
            frame_id=[4, 6],
            video_id=['v', 'v'],
            gt_masks=masks,
            gt_guides=guides,
            gt_guide_kinds=kinds,
            gt_instances_ids=[np.array([7, 1, 9])] * 2,
        )
    )
    assert packed['inputs'].dtype == torch.uint8 and packed['inputs'].shape == (2, 3, 6, 8)
    for t, frame in enumerate(packed['data_samples'].video_data_samples):
        assert (packed['inputs'][t].permute(1, 2, 0).numpy() == images[t]).all()
        objects = frame.gt_instances
        assert len(objects) == 3 and (objects.masks.masks == masks[t].masks).all()
        assert (objects.guides.numpy() == guides[t]).all() and objects.guides.dtype == torch.float32
        assert (
            objects.guide_kinds.numpy() == kinds[t]
        ).all() and objects.instances_ids.tolist() == [7, 1, 9]
        assert (frame.img_id, frame.frame_id, frame.img_path) == ((4, 6)[t], (4, 6)[t], 'ab'[t])
        assert (frame.ori_shape, frame.video_id) == ((60, 80), 'v')


def test_float_images_are_rounded_and_cut() -> None:
    image = np.array([-3.0, 0.4, 0.6, 254.7, 300.0, 7.0], np.float32).reshape(1, 2, 3)
    packed = PackClip().transform(dict(img=[image], img_id=[0]))
    assert packed['inputs'].dtype == torch.uint8
    assert packed['inputs'].permute(0, 2, 3, 1).flatten().tolist() == [0, 0, 1, 255, 255, 7]
