"""SurroundPair and SimulatePairMotion: stills get surroundings and move; boxes stay with masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks

from mmvos.datasets import SimulatePairMotion, SurroundPair
from mmvos.datasets.transforms import surround_pair

BEHIND = (10, 200, 10)


@pytest.fixture(autouse=True)
def seed() -> None:
    np.random.seed(0)


@pytest.fixture
def surround(tmp_path: Path) -> SurroundPair:
    """With one green image."""
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((60, 80, 3), BEHIND, np.uint8))
    polygon = [[0, 0, 79, 0, 79, 59]]
    annotation = dict(id=1, image_id=1, category_id=1, iscrowd=0, area=2400, bbox=[0, 0, 80, 60])
    content = dict(
        images=[dict(id=1, file_name='a.png', height=60, width=80)],
        annotations=[dict(annotation, segmentation=polygon)],
        categories=[dict(id=1, name='object')],
    )
    (tmp_path / 'c.json').write_text(json.dumps(content))
    return SurroundPair('c.json', str(tmp_path), data_prefix=dict(img_path=''))


def pair(height: int = 60, width: int = 50) -> dict[str, Any]:
    """Two red frames with a blue object of 20 x 30 pixels at (10, 20)."""
    mask = np.zeros((height, width), np.uint8)
    mask[20:50, 10:30] = 1
    image = np.full((height, width, 3), (0, 0, 250), np.uint8)
    image[mask > 0] = (250, 0, 0)
    return dict(
        img=[image, image.copy()],
        gt_masks=[BitmapMasks(mask[None].copy(), height, width) for _ in range(2)],
        gt_bboxes=[np.array([[10, 20, 30, 50]], np.float32) for _ in range(2)],
    )


@pytest.mark.parametrize('is_cut', [False, True])
def test_the_object_is_in_the_middle_of_another_image(surround, is_cut):
    """Its template window has the side sqrt((20 + 25) (30 + 25)) = 49.7, the canvas four times."""
    with patch.object(surround_pair, 'CUT_PROB', float(is_cut)):
        results = surround(pair())
    for t, image in enumerate(results['img']):
        assert image.shape == (199, 199, 3)
        (box,) = results['gt_bboxes'][t]
        assert box.tolist() == pytest.approx([89, 84, 109, 114], abs=1)
        mask = results['gt_masks'][t].masks[0] > 0
        assert mask.sum() == 600
        inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3))) > 0
        assert np.abs(image[inside].astype(int) - (250, 0, 0)).max() <= 2
        assert np.abs(image[0, 0].astype(int) - BEHIND).max() <= 8
        # Its own surroundings are there, or the other image's.
        beside = BEHIND if is_cut and t == 1 else (0, 0, 250)
        assert np.abs(image[100, 84].astype(int) - beside).max() <= 8


def test_large_objects_become_smaller(surround):
    """With a template window of 497 pixels, to 127: 200 pixels become 51."""
    given = pair()
    given['img'] = [cv2.resize(image, (500, 600)) for image in given['img']]
    masks = [cv2.resize(m.masks[0], (500, 600), interpolation=0) for m in given['gt_masks']]
    given['gt_masks'] = [BitmapMasks(mask[None], 600, 500) for mask in masks]
    results = surround(given)
    assert results['img'][0].shape[0] == pytest.approx(4 * 127, abs=1)
    x1, _, x2, _ = results['gt_bboxes'][0][0]
    assert x2 - x1 == pytest.approx(200 * 127 / 497.5, abs=2)


def test_only_the_second_frame_moves_and_its_box_is_that_of_its_mask():
    moved = 0
    for _ in range(5):
        given = pair(120, 100)
        results = SimulatePairMotion()(given)
        assert np.array_equal(results['img'][0], given['img'][0])
        rows, columns = np.nonzero(results['gt_masks'][1].masks[0])
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert results['gt_bboxes'][1][0].tolist() == edges
        moved += edges != [10, 20, 30, 50]
    assert moved >= 4


def test_a_frame_without_a_mask_stays(surround):
    given = pair()
    given['gt_masks'][1] = BitmapMasks(np.zeros((1, 60, 50), np.uint8), 60, 50)
    for transform in (surround, SimulatePairMotion()):
        results = transform(given)
        assert np.array_equal(results['img'][1], given['img'][1])
        assert results['gt_bboxes'][1][0].tolist() == [10, 20, 30, 50]
