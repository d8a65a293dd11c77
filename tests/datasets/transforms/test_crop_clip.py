"""CropClip: one window for all frames that holds the object, its size, its padding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks

from mmvos.datasets import CropClip
from mmvos.datasets.transforms import crop_clip

HEIGHT, WIDTH = 90, 160
MEAN = (104, 116, 124)


@pytest.fixture(autouse=True)
def seed() -> None:
    np.random.seed(0)


def clip(*boxes: tuple[int, int, int, int]) -> dict[str, list]:
    """Frames that are white on the object (x, y, w, h) and black elsewhere; an object of width 0 is
    absent.
    """
    masks = []
    for x, y, w, h in boxes:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[y : y + h, x : x + w] = 1
        masks.append(mask)
    return dict(
        img=[np.repeat(mask[..., None] * np.uint8(255), 3, axis=2) for mask in masks],
        gt_masks=[BitmapMasks(mask[None], HEIGHT, WIDTH) for mask in masks],
    )


def test_pictures_and_masks_are_cut_alike() -> None:
    for _ in range(30):
        out = CropClip(size=64).transform(clip((60, 30, 30, 20), (70, 35, 30, 20)))
        for image, masks in zip(out['img'], out['gt_masks'], strict=True):
            assert image.shape == (64, 64, 3) and masks.masks.shape == (1, 64, 64)
            assert image.dtype == masks.masks.dtype == np.uint8
            x1, y1, x2, y2 = out['inside'][0]
            shown = masks.masks[0, y1:y2, x1:x2]
            assert (
                (image[y1:y2, x1:x2, 0] >= 128) == shown
            ).all() and shown.sum() == masks.masks.sum()
        assert out['img_shape'] == [(64, 64)] * 2 and len(out['inside']) == 2


def test_object_of_every_frame_is_in_the_window_at_its_scale() -> None:
    lengths, left = [], []
    for _ in range(200):
        # together 40 x 30
        out = CropClip(size=200).transform(clip((60, 30, 20, 20), (80, 40, 20, 20)))
        a, b = (cv2.boundingRect(masks.masks[0]) for masks in out['gt_masks'])
        # nothing is cut off, in either frame
        assert abs(a[2] - b[2]) <= 1 and abs(a[3] - b[3]) <= 1
        assert (b[0] - a[0]) / a[2] == pytest.approx(1, abs=0.06)
        lengths.append((b[0] + b[2] - a[0]) / 200)
        left.append(a[0] / 200)
    # 1 / (context 1.8 to 3.5 and stretch 10 %); contexts above 1.4 * 90 / 40 = 3.15 are cut down to
    # it
    assert (
        1 / (3.15 * 1.1) - 0.01 < min(lengths) < 0.32
        and 0.53 < max(lengths) < 1 / (1.8 * 0.9) + 0.01
    )
    assert min(left) < 0.1 and max(left) > 0.5  # not always centred


def test_other_context(monkeypatch) -> None:
    monkeypatch.setattr(crop_clip, 'CONTEXT', (2.0, 2.0))
    out = CropClip(size=100).transform(clip((60, 30, 40, 40)))
    _, _, w, h = cv2.boundingRect(out['gt_masks'][0].masks[0])
    assert w * h == pytest.approx(100 * 100 / 4, rel=0.06)  # the stretch keeps the area


def test_padding_has_the_mean_color_and_no_object() -> None:
    seen = 0
    for _ in range(50):
        out = CropClip(size=64).transform(clip((0, 0, 150, 60)))
        x1, y1, x2, y2 = out['inside'][0]
        outside = np.ones((64, 64), dtype=bool)
        outside[y1:y2, x1:x2] = False
        seen += outside.sum()
        assert (out['img'][0][outside] == MEAN).all() and not out['gt_masks'][0].masks[0][
            outside
        ].any()
        assert (out['img'][0][~outside] != MEAN).any(axis=-1).mean() > 0.9
    assert seen > 0


def test_window_stays_mostly_in_the_frame(monkeypatch) -> None:
    """A window that fits into the frame reaches at most 10 % beyond an edge, also for an object at
    the edge.
    """
    monkeypatch.setattr(crop_clip, 'CONTEXT', (3.0, 3.0))
    for _ in range(100):
        out = CropClip(size=100).transform(clip((0, 0, 20, 20)))
        x1, y1, x2, y2 = out['inside'][0]
        assert x2 - x1 >= 89 and y2 - y1 >= 89


def test_small_objects_are_not_enlarged_beyond_three_times() -> None:
    out = CropClip(size=90).transform(clip((60, 40, 4, 4)))
    assert out['gt_masks'][0].masks.sum() <= 16 * 9 * 1.3


def test_object_absent_from_later_frames() -> None:
    out = CropClip(size=64).transform(clip((60, 30, 30, 20), (0, 0, 0, 0)))
    assert out['gt_masks'][0].masks.any() and not out['gt_masks'][1].masks.any()


def test_clip_without_object_in_its_first_frame_is_given_up() -> None:
    assert CropClip(size=64).transform(clip((0, 0, 0, 0), (60, 30, 30, 20))) is None
