"""PasteObjects: what lies before the target cuts its mask, what lies behind does not touch it."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks

from mmvos.datasets import PasteObjects
from mmvos.datasets.transforms import paste_objects

SIDE = 96
TARGET, PASTED = (30, 30, 230), (230, 60, 30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image set of one blue square of 40 x 40 pixels."""
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((64, 64, 3), PASTED, np.uint8))
    polygon = [[10, 10, 50, 10, 50, 50, 10, 50]]
    data = dict(
        images=[dict(id=1, file_name='a.png', height=64, width=64)],
        annotations=[
            dict(id=1, image_id=1, category_id=1, iscrowd=0, area=1600, segmentation=polygon)
        ],
        categories=[dict(id=1, name='object')],
    )
    (tmp_path / 'a.json').write_text(json.dumps(data))
    return tmp_path


def clip(length: int = 3) -> dict[str, list]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[30:66, 30:66] = 1
    image = np.full((SIDE, SIDE, 3), 128, np.uint8)
    image[mask > 0] = TARGET
    return dict(
        img=[image.copy() for _ in range(length)],
        gt_masks=[BitmapMasks(mask[None].copy(), SIDE, SIDE) for _ in range(length)],
    )


def pasted(folder: Path, **constants: float) -> list[dict[str, list]]:
    transform = PasteObjects('a.json', str(folder))
    np.random.seed(0)
    with patch.multiple(
        paste_objects, **dict(PASTE_PROB=1, MAX_OBJECTS=1, COPY_PROB=0) | constants
    ):
        return [transform.transform(clip()) for _ in range(12)]


def blue(image: np.ndarray) -> np.ndarray:
    return (image[..., 0] > 180) & (image[..., 2] < 80)


def test_an_object_behind_leaves_mask_and_target_alone(folder: Path) -> None:
    seen = 0
    for results in pasted(folder, BEFORE_PROB=0):
        for image, masks in zip(results['img'], results['gt_masks'], strict=True):
            assert masks.masks[0].sum() == 36 * 36
            inner = image[33:63, 33:63]
            assert (inner == TARGET).all()
            seen += int(blue(image).sum())
    assert seen > 500


def test_an_object_before_cuts_the_mask_where_it_lies(folder: Path) -> None:
    cut = 0
    for results in pasted(folder, BEFORE_PROB=1):
        for index, (image, masks) in enumerate(
            zip(results['img'], results['gt_masks'], strict=True)
        ):
            mask = masks.masks[0] > 0
            assert not (blue(image) & mask).any()
            assert mask.sum() >= (0.3 if index else 0.6) * 36 * 36
            cut += 36 * 36 - int(mask.sum())
    assert cut > 500


def test_a_copy_of_the_target_is_background(folder: Path) -> None:
    copies = 0
    for results in pasted(folder, COPY_PROB=1, BEFORE_PROB=0):
        image, mask = results['img'][0], results['gt_masks'][0].masks[0] > 0
        red = (image[..., 2] > 180) & (image[..., 0] < 80)
        copies += int((red & ~mask).sum())
    assert copies > 300


def test_nothing_is_pasted_with_probability_zero(folder: Path) -> None:
    for results in pasted(folder, PASTE_PROB=0):
        assert np.array_equal(results['img'][0], clip()['img'][0])
