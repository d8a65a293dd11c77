"""RLE: our crop encoder against pycocotools' own encoder on the full frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from mmvos.structures import rle


@st.composite
def crops(draw):
    """A crop somewhere in a small frame, as (crop, top, left, height, width)."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    h, w = draw(st.integers(1, height - top)), draw(st.integers(1, width - left))
    bits = draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))
    return np.array(bits, dtype=bool).reshape(h, w), top, left, height, width


@settings(max_examples=300, deadline=None)
@given(crops())
def test_crop_encoder_equals_pycocotools_on_the_full_frame(case):
    crop, top, left, height, width = case
    full = np.zeros((height, width), dtype=np.uint8)
    full[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    expected = coco_mask.encode(np.asfortranarray(full))
    encoded = rle.encode_crop(crop, top, left, height, width)
    assert encoded['counts'] == expected['counts'].decode() and encoded['size'] == [height, width]
    assert np.array_equal(rle.decode(encoded), full.astype(bool))
    assert rle.area(encoded) == full.sum()


def test_bounding_box_is_continuous():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:5, 3:7] = True
    assert rle.bounding_box(rle.encode(mask)) == (3, 2, 7, 5)
    assert rle.bounding_box(rle.encode(np.zeros((6, 8), dtype=bool))) == (0, 0, 0, 0)


def test_crop_outside_the_frame_is_refused():
    with pytest.raises(ValueError, match='does not lie inside'):
        rle.encode_crop(np.ones((3, 3), dtype=bool), 4, 0, 6, 8)
