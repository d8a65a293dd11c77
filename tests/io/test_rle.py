"""Masks of files are checked before pycocotools sees them, and measured as it would decode them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from mmvos.io.rle import (
    MAX_SIDE,
    MaskError,
    RunLengthError,
    compress_mask,
    decode_mask,
    mask_fault,
    measure_run_lengths,
    size_fault,
)


def _rle(counts: Any, size: Any = (2, 2)) -> dict[str, Any]:
    return {'size': list(size), 'counts': counts}


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0, 0.02, 0.5, 0.98, 1]),
    smooth=st.booleans(),
)
def test_area_and_pixels_equal_those_of_the_mask(seed: int, share: float, smooth: bool) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 300, 2))
    mask = (rng.random((height, width)) < share).astype(np.uint8)
    if smooth:
        mask.sort(axis=int(rng.integers(2)))
    string = coco_mask.encode(np.asfortranarray(mask))['counts']
    assert measure_run_lengths([string, string], height, width).tolist() == [mask.sum()] * 2
    rle = {'size': [height, width], 'counts': string.decode()}
    assert mask_fault(rle, height, width) is None
    assert (decode_mask(rle, height, width, 'x') == mask).all()
    edges = np.flatnonzero(np.diff(mask.T.ravel(), prepend=0))
    runs = np.diff(edges, prepend=0, append=mask.size).tolist()
    rle = {'size': [height, width], 'counts': runs}
    assert compress_mask(rle, height, width, 'x')['counts'] == string


@pytest.mark.parametrize(
    ('strings', 'index'),
    [
        ([b'04', b'03'], 1),  # three of four pixels
        ([b'05'], 0),
        ([b'04', b'04', b'22'], None),
        ([b'0\x7f'], 0),
        ([b'04', b'/4'], 1),
        ([b'04', b''], 1),
        ([b'04', b'0P'], 1),
        ([b'04', b'N:0'], 1),  # -2, 10, 0: the total modulo 2**32 is no excuse
        ([b'04', b'PPPPPPPPPPPPPP0'], 1),  # a number of 70 bits
    ],
)
def test_the_broken_string_is_named(strings: list[bytes], index: int | None) -> None:
    if index is None:
        assert measure_run_lengths(strings, 2, 2).tolist() == [4, 4, 2]
        return
    with pytest.raises(RunLengthError) as caught:
        measure_run_lengths(strings, 2, 2)
    assert caught.value.index == index


def test_no_strings_have_no_areas() -> None:
    assert measure_run_lengths([], 2, 2).tolist() == []


DEEP: Any = []
for _ in range(900):
    DEEP = [DEEP]
MALFORMED = {
    'number': 1e-320,
    'text': 'mask',
    'no size': {'counts': '04'},
    'no counts': {'size': [2, 2]},
    'size is a number': {'size': 2, 'counts': '04'},
    'size of three': _rle('04', (2, 2, 1)),
    'size of floats': _rle('04', (2.0, 2.0)),
    'size of bools': _rle([1], (True, True)),
    'size of text': {'size': '22', 'counts': '04'},
    'size of a list': {'size': [[2], 2], 'counts': '04'},
    'other size': _rle('05', (2, 3)),
    'size beyond 64 bits': _rle('04', (10**30, 2)),
    'counts null': _rle(None),
    'counts an object': _rle({'0': 4}),
    'counts a number': _rle(4),
    'counts of floats': _rle([4.0]),
    'counts of text': _rle(['4']),
    'counts of bools': _rle([True, True, True, True]),
    'counts of lists': _rle([[4]]),
    'counts ragged': _rle([[4], 3]),
    'counts deep': _rle(DEEP),
    'counts empty': _rle([]),
    'counts negative': _rle([8, -4]),
    'counts short': _rle([3]),
    'counts beyond 64 bits': _rle([10**30]),
    'counts that wrap 64 bits': _rle([2**63 - 1, 2**63 - 1, 6]),
    'counts that wrap 32 bits': _rle([2**32, 4]),
    'string empty': _rle(''),
    'string cut': _rle('PPPP'),
    'string foreign': _rle('0\xe9'),
    'string with a surrogate': _rle('04\ud800'),
    'string of zeros': _rle('00000'),
    'string negative': _rle('N:0'),
    'string beyond 64 bits': _rle('P' * 30 + '0'),
    'polygon of dicts': [{}],
    'polygon of text': ['0 0 1 0 1 1'],
    'polygon of lists': [[[0, 0], [1, 0], [1, 1]]],
    'polygon short': [[0, 0, 1, 1]],
    'polygon odd': [[0, 0, 1, 0, 1, 1, 0]],
    'polygon empty': [[]],
    'polygon deep': DEEP,
    'polygon with nan': [[0, 0, float('nan'), 0, 1, 1]],
    'polygon with infinity': [[0, 0, float('inf'), 0, 1, 1]],
    'polygon with null': [[0, 0, None, 0, 1, 1]],
    'polygon with a bool': [[0, 0, True, 0, 1, 1]],
    'polygon beyond floats': [[0, 0, 10**400, 0, 1, 1]],
    'polygon far away': [[0, 0, 1e9, 0, 1, 1]],
}


@pytest.mark.parametrize('mask', MALFORMED.values(), ids=MALFORMED)
def test_malformed_masks_are_refused_in_a_sentence(mask: Any) -> None:
    fault = mask_fault(mask, 2, 2)
    assert fault
    assert len(fault) < 200
    for convert in (compress_mask, decode_mask):
        with pytest.raises(MaskError, match=r'^a\.json, annotation 3: '):
            convert(mask, 2, 2, 'a.json, annotation 3')


@pytest.mark.parametrize(
    'size',
    [(0, 5), (5, -1), (2.0, 2), (True, 2), (None, 2), ('2', 2), (MAX_SIDE + 1, 1), (2**40, 1)],
)
def test_sizes_that_no_frame_has_are_refused(size: Any) -> None:
    assert size_fault(*size)
    with pytest.raises(MaskError, match=r'^a\.json: '):
        compress_mask([], *size, 'a.json')
    assert size_fault(MAX_SIDE, 1) is None


def test_a_long_outline_is_refused() -> None:
    side = MAX_SIDE
    zigzag = [value for _ in range(200) for value in (0, 0, side, side)]
    assert 'outline' in str(mask_fault([zigzag], side, side))
    assert mask_fault([zigzag[:40]], side, side) is None


def test_polygons_are_filled_and_joined() -> None:
    # Two squares of 2 x 2 pixels in a frame of 4 x 6.
    squares = [[0, 0, 2, 0, 2, 2, 0, 2], [4, 2, 6, 2, 6, 4, 4, 4]]
    decoded = decode_mask(squares, 4, 6, 'x')
    assert decoded.tolist() == [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 1],
    ]
    assert decode_mask([], 4, 6, 'x').sum() == 0
