"""Rotated boxes of masks: areas worked out by hand, corners compared as sets, as OpenCV's order
changes between versions.
"""

from __future__ import annotations

import numpy as np
import pytest

from mmvos.ops.polygons import box_polygon, mask_polygon


def block(height: int, width: int) -> np.ndarray:
    mask = np.zeros((60, 80), dtype=bool)
    mask[10 : 10 + height, 20 : 20 + width] = True
    return mask


def corner_set(polygon) -> set[tuple[int, int]]:
    return {(round(x), round(y)) for x, y in polygon}


def test_a_block_of_eleven_pixels_is_too_small():
    """The outline of w x h pixels encloses (w - 1)(h - 1): 11 x 11 gives 100, which is not above
    100; 11 x 12 gives 110.
    """
    assert mask_polygon(block(11, 11)) is None
    assert corner_set(mask_polygon(block(11, 12))) == {(20, 10), (31, 10), (31, 20), (20, 20)}
    assert mask_polygon(block(11, 11), min_area=99) is not None
    assert mask_polygon(np.zeros((5, 5), dtype=bool)) is None


def test_the_largest_part_counts():
    mask = block(20, 30)
    mask[45:58, 5:18] = True
    assert corner_set(mask_polygon(mask)) == {(20, 10), (49, 10), (49, 29), (20, 29)}


def test_a_rotated_square():
    y, x = np.mgrid[:60, :80]
    polygon = mask_polygon(abs(x - 40) + abs(y - 30) <= 20)
    assert corner_set(polygon) == {(40, 10), (60, 30), (40, 50), (20, 30)}


def test_box_polygon():
    assert box_polygon((30, 30), (40, 20)) == ((10, 20), (50, 20), (50, 40), (10, 40))
    assert box_polygon((0.5, 0.25), (1, 0.5))[0] == pytest.approx((0, 0))
