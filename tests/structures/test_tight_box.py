"""The tight box of a mask, on masks drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mmvos.structures.rle import tight_box


def test_the_ends_are_not_included():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2, 3] = mask[4, 6] = True
    assert tight_box(mask) == (3, 2, 7, 5)


def test_a_pixel_at_the_origin_and_an_empty_mask():
    mask = np.zeros((2, 3), dtype=bool)
    assert tight_box(mask) is None
    mask[0, 0] = True
    assert tight_box(mask) == (0, 0, 1, 1)


@pytest.mark.parametrize('value', [1, 255])
def test_bytes_and_mirrored_views(value):
    mask = np.zeros((4, 10), dtype=np.uint8)
    mask[1, 7:9] = value
    assert tight_box(mask) == (7, 1, 9, 2)
    assert tight_box(mask[:, ::-1]) == (1, 1, 3, 2)
