"""Pasting a mask inside its box against mmdet's paste over the whole frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

from mmvos.ops.masks import paste_in_box

HEIGHT, WIDTH = 45, 60
BOXES = {
    'inside': (10.3, 5.2, 40.7, 30.9),
    'whole frame': (0.0, 0.0, 60.0, 45.0),
    'over the upper left corner': (-12.5, -7.0, 15.2, 20.1),
    'over the lower right corner': (41.5, 30.5, 80.0, 77.7),
    'around the frame': (-100.0, -50.0, 200.0, 90.0),
    'smaller than a pixel': (20.2, 20.3, 20.6, 20.9),
    'one pixel': (20.0, 20.0, 21.0, 21.0),
    'one pixel wide': (30.0, 3.0, 31.0, 40.0),
    'outside': (70.0, 10.0, 90.0, 20.0),
    'beside the left edge': (-30.0, 10.0, -0.01, 20.0),
}


def full_frame(mask: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    crop, top, left = paste_in_box(mask, box, HEIGHT, WIDTH)
    frame = torch.zeros(HEIGHT, WIDTH)
    frame[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return frame


@pytest.mark.parametrize('box', BOXES.values(), ids=BOXES)
@pytest.mark.parametrize('size', [28, 14])
def test_equals_sampling_the_whole_frame(box, size):
    mask = torch.from_numpy(np.random.default_rng(size).random((size, size), dtype=np.float32))
    expected = _do_paste_mask(
        mask[None, None], torch.tensor([box]), HEIGHT, WIDTH, skip_empty=False
    )[0][0]
    torch.testing.assert_close(full_frame(mask, torch.tensor(box)), expected, atol=1e-5, rtol=1e-4)


def test_many_random_boxes_give_the_same_pixels_as_mmdet():
    rng = np.random.default_rng(0)
    corners = rng.uniform((-20, -20), (80, 65), (60, 2, 2)).astype(np.float32)
    boxes = torch.from_numpy(np.concatenate([corners.min(1), corners.max(1)], axis=1))
    masks = torch.from_numpy(rng.random((60, 28, 28), dtype=np.float32))
    expected = _do_paste_mask(masks[:, None], boxes, HEIGHT, WIDTH, skip_empty=False)[0]
    different = 0
    for mask, box, reference in zip(masks, boxes, expected):
        pasted = full_frame(mask, box)
        torch.testing.assert_close(pasted, reference, atol=1e-4, rtol=1e-3)
        different += int(((pasted >= 0.5) != (reference >= 0.5)).sum())
    assert different <= 2  # pixels whose value is 0.5 up to rounding


def test_a_mask_of_ones_fills_its_box():
    """Pixel centers inside the box, half a mask cell from the edge or more, are 1; centers further
    than that outside are 0.
    """
    frame = full_frame(torch.ones(28, 28), torch.tensor([8.0, 4.0, 36.0, 32.0]))
    assert frame[4:32, 8:36].min() == 1 and frame.sum() == 28 * 28


def test_the_crop_is_as_small_as_the_box():
    crop, top, left = paste_in_box(
        torch.ones(28, 28), torch.tensor([1000.0, 500.0, 1028.0, 528.0]), 2160, 3840
    )
    assert 28 <= crop.shape[0] <= 30 and 28 <= crop.shape[1] <= 30 and (top, left) == (499, 999)


@pytest.mark.parametrize('box', [(5.0, 5.0, 5.0, 20.0), (5.5, 5.5, 5.5, 5.5)])
def test_a_box_without_area_has_no_pixels(box):
    crop, _, _ = paste_in_box(torch.ones(28, 28), torch.tensor(box), HEIGHT, WIDTH)
    assert not (crop >= 0.5).any()
