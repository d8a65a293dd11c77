"""SimulateMotion: pictures and masks move alike, and each motion by the amount that its argument
says.
"""

from __future__ import annotations

from unittest.mock import patch

import cv2
import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks

from mmvos.datasets import SimulateMotion
from mmvos.datasets.transforms import simulate_motion

HEIGHT, WIDTH = 200, 240
STILL = dict(ROTATION=0, SHIFT=0, SHEAR=0, BEND=0)
MEAN = (104, 116, 124)


@pytest.fixture(autouse=True)
def seed() -> None:
    np.random.seed(0)


def still(w: int = 60, h: int = 30) -> dict[str, list]:
    """A black picture with a white rectangle around (120, 100)."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[100 - h // 2 : 100 + h // 2, 120 - w // 2 : 120 + w // 2] = 1
    return dict(
        img=[np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)],
        gt_masks=[BitmapMasks(mask[None], HEIGHT, WIDTH)],
        img_id=[3],
        frame_id=[0],
    )


def warped(
    length: int = 3, scale: tuple[float, float] = (1, 1), **constants: float
) -> dict[str, list]:
    with patch.multiple(simulate_motion, **STILL | constants):
        return SimulateMotion(length, scale).transform(still())


def masks_of(results: dict[str, list]) -> list[np.ndarray]:
    return [masks.masks[0] for masks in results['gt_masks']]


def test_no_motion_repeats_the_image() -> None:
    results = warped(5)
    assert results['img_id'] == [3] * 5 and results['frame_id'] == [0, 1, 2, 3, 4]
    for image, mask in zip(results['img'], masks_of(results), strict=True):
        assert (image == still()['img'][0]).all() and (
            mask == still()['gt_masks'][0].masks[0]
        ).all()


def test_masks_move_with_the_picture() -> None:
    results = SimulateMotion(clip_length=20).transform(still())
    for image, mask in zip(results['img'], masks_of(results), strict=True):
        white = (image >= 200).all(axis=-1)
        assert (white & (mask == 1)).sum() / (white | (mask == 1)).sum() > 0.93
    assert len({mask.tobytes() for mask in masks_of(results)}) == 20
    # from outside the image
    assert any((image == MEAN).all(axis=-1).any() for image in results['img'])


def test_rotation() -> None:
    angles = []
    for mask in masks_of(warped(60, ROTATION=30)):
        y, x = np.nonzero(mask)
        covariance = np.cov(x, y)
        angles.append(
            np.degrees(0.5 * np.arctan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1]))
        )
        assert abs(x.mean() - 119.5) < 0.7 and abs(y.mean() - 99.5) < 0.7
    assert -31 < min(angles) < -24 and 24 < max(angles) < 31


def test_scale() -> None:
    factors = np.sqrt([mask.sum() / 1800 for mask in masks_of(warped(60, scale=(0.5, 2)))])
    assert 0.48 < factors.min() < 0.6 and 1.7 < factors.max() < 2.02
    assert abs(np.log(factors).mean()) < 0.2  # as often smaller as larger


def test_shift_is_in_units_of_the_longer_side() -> None:
    starts = np.array([cv2.boundingRect(mask) for mask in masks_of(warped(60, SHIFT=0.5))])
    offsets = starts[:, :2] - (90, 85)
    assert (np.abs(offsets).max(axis=0) <= 30).all() and (np.abs(offsets).max(axis=0) > 24).all()
    assert (starts[:, 2:] == (60, 30)).all()


def test_shear() -> None:
    slopes = []
    for mask in masks_of(warped(60, SHEAR=20)):
        centers = [np.nonzero(row)[0].mean() for row in mask if row.any()]
        slopes.append(np.degrees(np.arctan(np.polyfit(np.arange(len(centers)), centers, 1)[0])))
    assert -21 < min(slopes) < -14 and 14 < max(slopes) < 21


def test_bend() -> None:
    start = still()['gt_masks'][0].masks[0]
    for mask in masks_of(warped(20, BEND=0.05)):
        assert 0.5 < (mask & start).sum() / (mask | start).sum() < 0.999
