"""Deformations of masks: numbers from the spline's definition, from counting pixels of disks, and
from the seed's online set.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mmvos.datasets.transforms.mask_deformations import (
    affine_deform,
    cut_part,
    dilate_disk,
    disk,
    filled_box,
    largest_rectangle,
    move_away,
    online_set,
    thin_plate_spline,
    tps_deform,
)
from mmvos.structures.rle import tight_box

CORNERS = np.array([(10, 10), (10, 90), (90, 10), (90, 90), (50, 30)], dtype=float)
POINTS = np.random.default_rng(0).uniform(-50, 150, (40, 2))


def rectangle(
    x: int, y: int, w: int, h: int, height: int = 200, width: int = 300
) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), dtype=bool)
    mask[y : y + h, x : x + w] = True
    return mask


def ellipse(height: int = 200, width: int = 300) -> NDArray[np.bool_]:
    return cv2.ellipse(
        np.zeros((height, width), np.uint8), (140, 90), (70, 40), 20, 0, 360, 1, -1
    ).view(bool)


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_spline_between_five_points() -> None:
    moved = CORNERS.copy()
    moved[4, 0] += 8
    spline = thin_plate_spline(CORNERS, moved)
    np.testing.assert_allclose(
        spline(np.array([(50, 50), (20, 70)], dtype=float)),
        [(57.068662, 50), (22.745909, 70)],
        atol=1e-6,
    )
    np.testing.assert_allclose(spline(CORNERS), moved, atol=1e-10)  # interpolates exactly


@pytest.mark.parametrize('matrix', [np.eye(2), np.array([[1.1, -0.3], [0.2, 0.8]])])
@pytest.mark.parametrize('shift', [(0, 0), (7.5, -3)])
def test_spline_reproduces_affine_maps_everywhere(
    matrix: NDArray[np.float64], shift: tuple[float, float]
) -> None:
    spline = thin_plate_spline(CORNERS, CORNERS @ matrix.T + shift)
    np.testing.assert_allclose(spline(POINTS), POINTS @ matrix.T + shift, rtol=0, atol=1e-12 * 150)


@pytest.mark.parametrize('radius, pixels', [(0, 1), (1, 5), (1.5, 9), (5, 81), (8, 197)])
def test_dilation_of_a_pixel_is_an_exact_disk(radius: float, pixels: int) -> None:
    grown = dilate_disk(rectangle(20, 30, 1, 1), radius)
    assert disk(radius).sum() == grown.sum() == pixels
    y, x = np.nonzero(grown)
    assert np.hypot(y - 30, x - 20).max() <= radius


def test_dilation_ends_at_the_edges() -> None:
    # a quarter of the disk with its two axes: (81 - 21) / 4 + 11
    assert dilate_disk(rectangle(0, 0, 1, 1), 5).sum() == 26
    assert dilate_disk(rectangle(0, 0, 300, 200), 5).all()


def test_affine_shift_is_in_units_of_the_own_axis() -> None:
    """A wide object moves far in x and little in y; the seed had them mixed up."""
    mask, rng = rectangle(80, 90, 140, 10), np.random.default_rng(0)
    boxes = np.array([tight_box(affine_deform(mask, rng, scale=0)) for _ in range(200)])
    dx, dy = boxes[:, 0] - 80, boxes[:, 1] - 90
    assert np.abs(dx).max() in (13, 14) and np.abs(dy).max() == 1
    assert np.abs(dx.mean()) < 2 and np.abs(dx).mean() == pytest.approx(7, abs=1)  # uniform on +-14
    assert ((boxes[:, 2] - boxes[:, 0]) == 140).all()


def test_affine_scale_keeps_the_center() -> None:
    mask, rng = rectangle(80, 60, 100, 60), np.random.default_rng(0)
    for _ in range(50):
        x1, y1, x2, y2 = tight_box(affine_deform(mask, rng, shift=0))
        assert abs(x1 + x2 - 260) <= 1 and abs(y1 + y2 - 180) <= 1
        assert 94 <= x2 - x1 <= 106 and 56 <= y2 - y1 <= 64
        assert (x2 - x1) / 100 == pytest.approx((y2 - y1) / 60, abs=0.04)


def test_bent_mask_stays_near_the_object() -> None:
    mask, rng = ellipse(), np.random.default_rng(0)
    overlaps = [overlap(mask, tps_deform(mask, rng)) for _ in range(50)]
    assert min(overlaps) > 0.55 and max(overlaps) < 0.99 and 0.75 < np.mean(overlaps) < 0.95


def test_slender_object_does_not_fold() -> None:
    """Five points around a diagonal pole lie nearly on a line; an unlimited spline would make
    anything of it.
    """
    pole = cv2.line(np.zeros((200, 300), np.uint8), (60, 20), (220, 180), 1, 3).view(bool)
    rng = np.random.default_rng(0)
    areas = [tps_deform(pole, rng).sum() / pole.sum() for _ in range(100)]
    # unlimited: 6.1 and 21
    assert 0.9 < np.median(areas) < 1.1 and min(areas) > 0.6 and np.percentile(areas, 95) < 1.6


def test_bending_by_nothing_changes_nothing() -> None:
    assert (tps_deform(ellipse(), np.random.default_rng(0), shift=0) == ellipse()).all()


@pytest.mark.parametrize(
    'mask',
    [
        rectangle(50, 50, 1, 1),  # its ring has four pixels
        rectangle(0, 0, 300, 9),  # its ring is a straight line
        rectangle(0, 0, 300, 200),  # has no ring
    ],
)
def test_what_cannot_be_bent_is_returned_as_it_is(mask: NDArray[np.bool_]) -> None:
    bent = tps_deform(mask, np.random.default_rng(0))
    assert bent is not mask and (bent == mask).all()


def test_cut_leaves_one_side_of_a_line() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:30, 10:50] = True
    for _ in range(30):
        part = cut_part(mask, rng)
        share = part.sum() / mask.sum()
        rest = mask & ~part
        assert not (part & ~mask).any() and 0.29 < share < 0.9
        centers = [np.argwhere(side).mean(axis=0) for side in (part, rest)]
        # all of the part lies before all of the rest in some direction near this one
        normal = centers[1] - centers[0]
        assert np.quantile(np.argwhere(part) @ normal, 0.5) < np.quantile(
            np.argwhere(rest) @ normal, 0.5
        )
        hull = cv2.convexHull(np.argwhere(part).astype(np.int32))
        # convex: no hole was cut
        assert cv2.pointPolygonTest(hull, tuple(float(v) for v in centers[1]), False) < 0
    assert not cut_part(np.zeros((5, 5), dtype=bool), rng).any()


def test_filled_box() -> None:
    mask, rng = ellipse(), np.random.default_rng(0)
    x1, y1, x2, y2 = tight_box(mask)
    assert (filled_box(mask, rng, jitter=0) == rectangle(x1, y1, x2 - x1, y2 - y1)).all()
    boxes = np.array([tight_box(filled_box(mask, rng)) for _ in range(300)]) - (x1, y1, x2, y2)
    limits = np.rint(0.05 * np.array([x2 - x1, y2 - y1] * 2))
    assert (np.abs(boxes).max(axis=0) == limits).all()
    assert (boxes.min(axis=0) == -limits).all()  # in and out


@pytest.mark.parametrize('x, y', [(0, 0), (299, 199)])
def test_filled_box_of_a_pixel_in_a_corner(x: int, y: int) -> None:
    rng = np.random.default_rng(0)
    assert all(filled_box(rectangle(x, y, 1, 1), rng, jitter=5).any() for _ in range(100))


def test_moved_away_is_clear_of_the_object() -> None:
    mask, rng = rectangle(10, 20, 60, 40), np.random.default_rng(0)
    within = (5, 10, 290, 190)
    for _ in range(50):
        moved = move_away(mask, mask, rng, within)
        x1, y1, x2, y2 = tight_box(moved)
        assert within[0] <= x1 and within[1] <= y1 and x2 <= within[2] and y2 <= within[3]
        assert 18 <= x2 - x1 <= 60 and (x2 - x1) / (y2 - y1) == pytest.approx(1.5, abs=0.1)
        reach = 1.3 * (x2 - x1)
        left, top = max(int((x1 + x2) / 2 - reach), 0), max(int((y1 + y2) / 2 - reach), 0)
        assert not mask[
            top : int((y1 + y2) / 2 + reach) + 1, left : int((x1 + x2) / 2 + reach) + 1
        ].any()


def test_no_room_to_move_to() -> None:
    rng = np.random.default_rng(0)
    assert (
        move_away(rectangle(10, 10, 60, 40), rectangle(0, 0, 300, 200), rng, (0, 0, 300, 200))
        is None
    )
    assert (
        move_away(rectangle(10, 10, 60, 40), rectangle(0, 0, 1, 1), rng, (100, 100, 110, 110))
        is None
    )
    assert move_away(rectangle(0, 0, 0, 0), rectangle(0, 0, 1, 1), rng, (0, 0, 300, 200)) is None


@pytest.mark.parametrize('deform', [affine_deform, tps_deform, filled_box])
def test_same_seed_same_mask_and_input_untouched(deform: object) -> None:
    mask = ellipse()
    before = mask.copy()
    first, second, other = (deform(mask, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert (first == second).all() and (first != other).any()
    assert (mask == before).all() and first.dtype == bool and first.shape == mask.shape


def test_empty_masks_pass_through() -> None:
    empty, rng = rectangle(0, 0, 0, 0), np.random.default_rng(0)
    assert tight_box(empty) is None
    for deform in (affine_deform, tps_deform, filled_box):
        assert not deform(empty, rng).any()
    assert not dilate_disk(empty, 5).any()


@pytest.mark.parametrize(
    'width, height, degrees, inner',
    [
        (2, 2, 45, (2**0.5, 2**0.5)),
        (10, 1, 45, (0.5**0.5, 0.5**0.5)),
        (10, 1, -30, (1, 1 / 3**0.5)),
        (1, 10, 30, (1 / 3**0.5, 1)),
        (300, 200, 0, (300, 200)),
    ],
)
def test_largest_rectangle(
    width: float, height: float, degrees: float, inner: tuple[float, float]
) -> None:
    assert largest_rectangle(width, height, degrees) == pytest.approx(inner, abs=1e-9)


@pytest.mark.parametrize('degrees', [-20, 7, 20, 40, 60])
@pytest.mark.parametrize('width, height', [(854, 480), (480, 854), (400, 400)])
def test_largest_rectangle_touches_the_turned_one(width: int, height: int, degrees: int) -> None:
    w, h = largest_rectangle(width, height, degrees)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    corners = (
        np.array([(w, h), (w, -h), (-w, h), (-w, -h)])
        / 2
        @ np.array([[cosine, -sine], [sine, cosine]])
    )
    reach = np.abs(corners / (width / 2, height / 2)).max(axis=0)
    assert reach.max() == pytest.approx(1, abs=1e-9)


def test_online_set_has_42_images_and_84_pairs() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :300]
    image = np.stack([100 + x // 3, 100 + y // 2, np.full_like(x, 255)], axis=-1).astype(np.uint8)
    samples = list(online_set(image, ellipse(), rng))
    assert len(samples) == 84 and len({picture.tobytes() for picture, _, _ in samples}) == 42
    assert len({(picture.tobytes(), guide.tobytes()) for picture, _, guide in samples}) == 84
    for picture, mask, guide in samples:
        assert picture.shape == (200, 300, 3) and mask.shape == guide.shape == (200, 300)
        assert picture[..., 2].min() == 255 and picture.min() >= 98  # no gap comes into view
        # the guide goes with the picture, and is not to be copied
        assert 0.3 < overlap(mask, guide) < 1
    assert (samples[0][0] == image).all() and (samples[0][1] == ellipse()).all()
    assert (samples[2][0] == image[:, ::-1]).all() and (samples[2][1] == ellipse()[:, ::-1]).all()


def test_online_set_of_twelve_draws_has_1008_pairs() -> None:
    rng = np.random.default_rng(0)
    image, mask = np.zeros((20, 30, 3), np.uint8), rectangle(8, 5, 12, 9, 20, 30)
    assert sum(1 for _ in range(12) for _ in online_set(image, mask, rng)) == 1008


def test_online_set_turns_picture_and_masks_alike() -> None:
    image = np.repeat(ellipse()[..., None] * np.uint8(255), 3, axis=2)
    for picture, mask, _ in online_set(image, ellipse(), np.random.default_rng(0)):
        assert overlap(picture[..., 0] > 127, mask) > 0.98
