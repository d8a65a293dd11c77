"""Run lengths are measured as pycocotools would decode them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from mmvos.evaluation.youtube_vis.run_lengths import RunLengthError, complement, measure_run_lengths


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0, 0.02, 0.5, 0.98, 1]),
    smooth=st.booleans(),
)
def test_area_and_complement_equal_the_decoded_mask(seed: int, share: float, smooth: bool) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 300, 2)
    mask = (rng.random((height, width)) < share).astype(np.uint8)
    if smooth:
        mask.sort(axis=int(rng.integers(2)))
    string = coco_mask.encode(np.asfortranarray(mask))['counts']
    assert measure_run_lengths([string], height, width).tolist() == [mask.sum()]
    other = coco_mask.decode({'size': [int(height), int(width)], 'counts': complement(string)})
    assert (other == 1 - mask).all()


@pytest.mark.parametrize(
    ('strings', 'index'),
    [
        ([b'04', b'03'], 1),  # three of four pixels
        ([b'05'], 0),
        ([b'04', b'04', b'22'], None),
        ([b'0\x7f'], 0),
        ([b'04', b''], 1),
        ([b'04', b'0P'], 1),
    ],
)
def test_the_broken_string_is_named(strings: list[bytes], index: int | None) -> None:
    if index is None:
        assert measure_run_lengths(strings, 2, 2).tolist() == [4, 4, 2]
        return
    with pytest.raises(RunLengthError) as caught:
        measure_run_lengths(strings, 2, 2)
    assert caught.value.index == index
