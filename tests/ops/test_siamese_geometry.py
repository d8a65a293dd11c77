"""SiamMask's windows and pasted masks against the published geometry and numbers worked out by
hand.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmvos.ops.siamese_geometry import (
    box_center,
    context_side,
    cut_window,
    mask_area,
    paste_mask,
    search_side,
    window_around,
)


@pytest.mark.parametrize(
    ('size', 'template', 'scale', 'search'),
    [
        ((60, 40), 99.4987, 1.276398, 199.7809),
        ((100, 50), 147.902, 0.858677, 296.9686),
        ((20, 20), 40, 3.175, 80.315),
        ((33.3, 77.7), 108.757, 127 / 108.757, 218.371),
    ],
)
def test_sides(size, template, scale, search):
    side = context_side(*size)
    assert side == pytest.approx(template, abs=1e-3)
    assert 127 / side == pytest.approx(scale, abs=1e-5)
    assert search_side(side, 255) == pytest.approx(search, abs=2e-3)


@pytest.mark.parametrize(
    ('center', 'side', 'window'),
    [
        ((50.0, 40.0), 99.4987, (0, -10, 99)),  # c = 50
        ((50.0, 40.0), 100.0, (0, -10, 100)),  # c = 50.5: -0.5 -> 0, -10.5 -> -10
        ((51.0, 41.0), 100.0, (0, -10, 100)),  # 0.5 -> 0, -9.5 -> -10
        ((52.0, 42.0), 100.5, (2, -8, 100)),  # 100.5 -> 100; 1.5 -> 2, -8.5 -> -8
        ((10.3, 20.7), 0.2, (9, 20, 1)),  # never smaller than a pixel
    ],
)
def test_rounding_is_half_to_even(center, side, window):
    assert window_around(center, side) == window


def test_a_center_that_went_through_the_corners_of_a_box_rounds_as_it_was():
    """The integer rotated box 65,106 70,144 -6,154 -11,116, one of 3 in 13,333: center (29.5, 130),
    size 72.996645 x 43.257271 (each extent times sqrt(2938 / 3888), plus 1).

    Its sides are sqrt(38**2 + 5**2) = 38.3275 and sqrt(76**2 + 10**2) = 76.6551, its extents 81 and
    48, so width and height are 81 and 48 times sqrt(2938 / 3888), plus 1: 71.41218 and 42.72574.
    The template's side is sqrt(128.48114 * 99.79470) = 113.23 -> 113 pixels, half of the window 57:
    29.5 - 57 = -27.5, which is rounded to the even -28. The mean of the corners of the box is
    29.500000000000004.
    """
    x, y, width, height = 29.5, 130.0, 71.41217934420153, 42.72573590767498
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    assert (corners[0] + corners[2]) / 2 > x
    assert window_around(box_center(corners), context_side(width, height)) == (-28, 73, 113)


def picture(height: int = 30, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_window_of_the_right_size_is_copied():
    image = picture()
    cut = cut_window(image, (5, 7, 20), (1, 2, 3), 20)
    assert (cut == image[7:27, 5:25]).all()
    cut[:] = 0
    assert image[7:27, 5:25].any()


def test_outside_the_frame_is_the_colour():
    image = picture()
    cut = cut_window(image, (-4, 25, 10), (1, 2, 3), 10)
    assert (cut[:5, 4:] == image[25:30, :6]).all()
    assert (cut[5:] == (1, 2, 3)).all() and (cut[:, :4] == (1, 2, 3)).all()
    assert (cut_window(image, (100, 100, 9), (9, 8, 7), 5) == (9, 8, 7)).all()


def test_another_size_is_what_opencv_makes_of_the_padded_window():
    image = picture()
    padded = cv2.copyMakeBorder(image, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=(10, 20, 30))
    expected = cv2.resize(padded[2:47, 4:49], (127, 127))
    assert (cut_window(image, (-8, -10, 45), (10, 20, 30), 127) == expected).all()


@pytest.mark.parametrize(
    ('size', 'pixels', 'right', 'bottom'), [(127, 11881, 213, 183), (63, 11664, 212, 182)]
)
def test_pasting_a_full_mask(size, pixels, right, bottom):
    """Window (50, 20, 220, 220) in a frame of 320 x 240, cell (12, 12): published area, extent and
    border.
    """
    area = mask_area((160.0, 130.0), 220, (12, 12), 255)
    assert area == pytest.approx((105.2157, 75.2157, 109.5686), abs=1e-4)
    pasted = paste_mask(np.ones((size, size), dtype=np.float32), area, 240, 320)
    rows, columns = np.nonzero(pasted > 0.35)
    assert len(rows) == pixels
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (105, right, 75, bottom)
    assert pasted[0, 0] == pasted[-1, -1] == -1


def test_cells_move_the_mask_by_eight_search_pixels():
    """Row and column are not exchanged."""
    left, top, side = mask_area((100.0, 100.0), 255, (4, 6), 255)
    assert (left, top, side) == (100 - 127.5 + 16, 100 - 127.5, 127)


def test_masks_may_reach_outside_the_frame():
    pasted = paste_mask(np.ones((127, 127), dtype=np.float32), (-60.0, -50.0, 127.0), 40, 50)
    assert pasted.shape == (40, 50) and (pasted > 0.5).all()
    assert (
        paste_mask(np.ones((127, 127), dtype=np.float32), (500.0, 0.0, 127.0), 40, 50) == -1
    ).all()
