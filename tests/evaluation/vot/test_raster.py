"""Overlap of polygons in pixels: rows counted by hand, and what the two programs give themselves.

The fractions of ``PUBLISHED`` come from those programs: TraX's C code as SiamMask and pysot compile
it, and vot-toolkit 0.9.0. On 20,000 random pairs of rotated boxes the tools' rule gives the C
code's overlap every time.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mmvos.evaluation.vot import overlap, run_supervised, toolkit_overlap

DIAMOND = np.array([0, 10, 10, 0, 20, 10, 10, 20], float)
SQUARE_AROUND_IT = np.array([0, 0, 20, 0, 20, 20, 0, 20], float)
# touches the diamond's lowest corner, (10, 20), with its left one
WEDGE = np.array([10, 20, 40, 10, 40, 30, 20, 30], float)
POINT = np.full(8, 3.0)

PUBLISHED = [
    (
        [103.2, 50.1, 160.7, 90.3, 120.2, 150.1, 62.7, 109.9],
        [116.5, 55.2, 174.0, 95.4, 133.5, 155.2, 76.0, 115.0],
        (320, 240),
        (7354 / 11893, 3968 / 6375),
    ),
    (  # partly outside, at the left
        [-12.4, 30.6, 25.1, 18.2, 33.7, 44.9, -3.8, 57.3],
        [-6.4, 26.6, 31.1, 14.2, 39.7, 40.9, 2.2, 53.3],
        (320, 240),
        (63 / 88, 821 / 1145),
    ),
    (  # partly outside, at the right
        [300.5, 200.5, 330.25, 210.75, 325.5, 228.5, 295.75, 218.25],
        [310.5, 204.5, 340.25, 214.75, 335.5, 232.5, 305.75, 222.25],
        (319, 239),
        (56 / 107, 11 / 21),
    ),
    (  # halves: rounded up by the tools, to even by the toolkit
        [20.5, 10.5, 60.5, 12.5, 59.5, 31.5, 19.5, 29.5],
        [21.5, 11.5, 61.5, 13.5, 60.5, 32.5, 20.5, 30.5],
        None,
        (723 / 841, 367 / 417),
    ),
]


def outline_pixels(polygon: NDArray[np.float64]) -> int:
    """What ``cv2.fillPoly`` fills."""
    mask = np.zeros((50, 50), np.uint8)
    cv2.fillPoly(mask, [polygon.reshape(4, 2).astype(np.int32)], 1)
    return np.count_nonzero(mask)


@pytest.mark.parametrize(('first', 'second', 'bounds', 'expected'), PUBLISHED)
def test_rotated_boxes_as_the_programs_count_them(first, second, bounds, expected):
    pair = np.array(first), np.array(second)
    assert overlap(*pair, bounds) == pytest.approx(expected[0], abs=1e-6)
    assert toolkit_overlap(*pair, bounds) == pytest.approx(expected[1], abs=1e-6)


def test_a_corner_alone_in_its_row_has_no_pixel_for_the_tools():
    """Row r of the diamond, from 1 to 9, has 2 r + 1 pixels, row 10 has 21, then as above: 2 * 99 +
    21 = 219. The toolkit has the two corners too, as ``cv2.fillPoly`` has. The square has 21 * 21 =
    441.
    """
    assert overlap(DIAMOND, SQUARE_AROUND_IT) == pytest.approx(219 / 441)
    assert toolkit_overlap(DIAMOND, SQUARE_AROUND_IT) == pytest.approx(221 / 441)
    assert outline_pixels(DIAMOND) == 221


def test_the_end_of_a_row_is_cut_to_a_whole_pixel():
    """The right side goes from x = 9 to 10 in three rows: 9, 9.33 -> 9, 9.67 -> 9, 10, so 10 + 10 +
    10 + 11 pixels. ``cv2.fillPoly`` rounds 9.67 up.
    """
    polygon = np.array([0, 0, 9, 0, 10, 3, 0, 3], float)
    box = np.array([0, 0, 10, 0, 10, 3, 0, 3], float)  # 11 x 4 pixels
    assert overlap(polygon, box) == toolkit_overlap(polygon, box) == pytest.approx(41 / 44)
    assert outline_pixels(polygon) == 42


def test_whether_there_is_an_overlap_can_depend_on_the_rule():
    """The only pixel that both could have is the diamond's lowest corner, which the tools do not
    fill: no overlap, so the tracker has lost the object.

    The toolkit: 1 pixel of 221 + 431 - 1.
    """
    assert overlap(DIAMOND, WEDGE, (100, 100)) == 0
    assert toolkit_overlap(DIAMOND, WEDGE, (100, 100)) == pytest.approx(1 / 651)


def test_boxes_that_only_touch():
    """Columns 10 to 20 and 20 to 30 share column 20: 0 for the tools, 11 of 231 pixels for the
    toolkit.
    """
    left = np.array([10, 0, 20, 0, 20, 10, 10, 10], float)
    right = left + np.array([10, 0] * 4)
    assert overlap(left, right) == 0
    assert toolkit_overlap(left, right) == pytest.approx(11 / 231)


@pytest.mark.parametrize('region', [POINT, np.array([3, 3, 8, 3, 8, 3, 3, 3], float)])
def test_two_regions_without_a_pixel(region):
    """A point, and a level line: sides that lie in a row give no node."""
    assert math.isnan(overlap(region, region))
    assert toolkit_overlap(region, region) == 1


def test_a_region_without_a_pixel_and_one_with_some():
    assert overlap(POINT, DIAMOND + 20) == toolkit_overlap(POINT, DIAMOND + 20) == 0


def test_an_overlap_that_is_no_number_is_no_loss():
    class Same:
        def init(self, image, region):
            self.region = region

        def track(self, image):
            return self.region

    images = [np.zeros((20, 20, 3), np.uint8)] * 3
    first, second, third = run_supervised(images, np.array([POINT] * 3), Same())
    assert first == 1
    np.testing.assert_array_equal([second, third], [POINT, POINT])


def test_corners_far_outside_are_no_problem():
    far = np.array([-1e30, -1e30, 1e30, -1e30, 1e30, 1e30, -1e30, 1e30])
    assert overlap(far, SQUARE_AROUND_IT, (100, 100)) == pytest.approx(441 / (101 * 101))
    assert overlap(SQUARE_AROUND_IT, SQUARE_AROUND_IT + 9e4) == 0
