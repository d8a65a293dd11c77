"""ColorClip: each of its draws against the arithmetic of the color it changes."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from mmvos.datasets import ColorClip
from mmvos.datasets.transforms import color_clip

OFF = dict(BRIGHTNESS=0, CONTRAST=0, SATURATION=0, FLICKER=0)


@pytest.fixture(autouse=True)
def seed() -> None:
    np.random.seed(0)


def clip(length: int = 3) -> list[np.ndarray]:
    return [
        np.random.default_rng(t).integers(60, 190, (8, 9, 3), dtype=np.uint8) for t in range(length)
    ]


def changed(**constants: float) -> list[np.ndarray]:
    with patch.multiple(color_clip, **OFF | constants):
        return ColorClip().transform(dict(img=clip()))['img']


def test_nothing_changes_nothing() -> None:
    assert all(
        (a == b).all() and a.dtype == np.uint8 for a, b in zip(changed(), clip(), strict=True)
    )


def test_brightness_is_added_to_all_frames_alike() -> None:
    offsets = []
    for _ in range(50):
        added = [
            after.astype(int) - before
            for after, before in zip(changed(BRIGHTNESS=40), clip(), strict=True)
        ]
        assert len(set(np.concatenate([a.ravel() for a in added]).tolist())) == 1
        offsets.append(int(added[0].flat[0]))
    assert min(offsets) < -30 and max(offsets) > 30 and max(map(abs, offsets)) <= 40


def test_flicker_moves_single_frames_by_half_as_much() -> None:
    added = np.array(
        [
            [
                (after.astype(int) - before).mean()
                for after, before in zip(changed(BRIGHTNESS=40, FLICKER=1), clip())
            ]
            for _ in range(50)
        ]
    )
    assert (
        np.ptp(added, axis=1).max() > 15
        and np.ptp(added, axis=1).max() <= 40
        and np.abs(added).max() <= 60
    )
    assert all(np.ptp(row) > 0 for row in added)


def test_contrast_keeps_the_middle_gray() -> None:
    for _ in range(20):
        before, after = clip()[0].astype(float), changed(CONTRAST=0.3)[0].astype(float)
        factor = np.polyfit(before.ravel() - 117, after.ravel() - 117, 1)
        assert 0.7 <= factor[0] <= 1.3 and abs(factor[1]) < 0.6


def test_saturation_keeps_the_gray_value_and_spreads_the_colors() -> None:
    weights = np.array([0.114, 0.587, 0.299])
    factors = []
    for _ in range(30):
        before, after = clip()[0].astype(float), changed(SATURATION=0.3)[0].astype(float)
        assert np.abs(before @ weights - after @ weights).max() < 1
        colors = [(image - (image @ weights)[..., None]).ravel() for image in (before, after)]
        factors.append(np.polyfit(*colors, 1)[0])
    assert 0.69 < min(factors) < 0.8 and 1.2 < max(factors) < 1.31


def test_values_stay_in_range() -> None:
    white = [np.full((2, 2, 3), 250, np.uint8)]
    with patch.object(color_clip, 'BRIGHTNESS', 200):
        images = [ColorClip().transform(dict(img=white))['img'][0] for _ in range(20)]
    assert max(image.max() for image in images) == 255


def test_options_that_became_constants_are_accepted():
    with pytest.warns(FutureWarning, match='flicker'):
        ColorClip(flicker=0.5)
