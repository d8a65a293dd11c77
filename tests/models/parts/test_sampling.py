"""Sampling of parts against the spec's numbers, and what must hold for any object."""

from __future__ import annotations

import numpy as np
import pytest

from mmvos.models.parts import sampling
from mmvos.models.parts.sampling import (
    block_rule,
    coverage,
    is_part,
    limit_count,
    part_squares,
    sample_parts,
    suppress_nested,
)


def square_mask() -> np.ndarray:
    """A square of 100 x 100 pixels in a frame of 480 x 854."""
    mask = np.zeros((480, 854), dtype=bool)
    mask[100:200, 300:400] = True
    return mask


def sums(mask: np.ndarray) -> np.ndarray:
    return np.pad(mask.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ('shorter', 'rule'),
    [
        (480, (64, 32, 152)),
        (300, (64, 32, 152)),
        (299, (32, 28, 128)),
        (200, (32, 28, 128)),
        (199, (24, 24, 112)),
        (100, (24, 24, 112)),
        (99, (16, 24, 96)),
        (1, (16, 24, 96)),
    ],
)
def test_blocks_and_sides_follow_the_shorter_side(shorter, rule):
    assert block_rule(shorter) == rule


@pytest.mark.parametrize(
    ('center', 'side', 'pixels', 'covered', 'kept'),
    [
        ((150, 350), 96, 97, 1.0, True),  # in the middle
        ((100, 300), 64, 65, 0.2578, False),  # at the corner
        ((100, 350), 48, 49, 0.5102, True),  # at an edge
    ],
)
def test_coverage_of_a_square(center, side, pixels, covered, kept):
    box = part_squares(np.array([center]), np.array([side]))
    assert (box[0, 2:] - box[0, :2]).tolist() == [pixels, pixels]
    assert coverage(box, sums(square_mask()))[0] == pytest.approx(covered, abs=5e-5)
    assert is_part(box, sums(square_mask())).tolist() == [kept]


def test_what_reaches_out_of_the_frame_is_no_part():
    full = np.ones((60, 80), dtype=bool)
    boxes = np.array(
        [[0, 0, 80, 60], [-1, 0, 30, 31], [0, -1, 31, 30], [50, 30, 81, 60], [50, 30, 80, 61]]
    )
    assert is_part(boxes, sums(full)).tolist() == [True, False, False, False, False]
    assert coverage(np.array([[-10, 0, 10, 20], [90, 70, 95, 75]]), sums(full)).tolist() == [0.5, 0]


def test_a_box_that_lies_in_one_reaching_lower_is_dropped():
    # a quarter of the last is in the first
    outer, inner, beside = [0, 0, 100, 100], [10, 10, 50, 50], [90, 50, 130, 90]
    boxes = np.array([inner, outer, beside])
    assert suppress_nested(boxes, 0.95).tolist() == [outer, beside]
    assert suppress_nested(boxes, 0.24).tolist() == [outer]
    # now the smaller one comes first, and holds 36 % of the larger
    lower = np.array([[10, 10, 50, 101], outer])
    assert len(suppress_nested(lower, 0.95)) == 2 and suppress_nested(lower, 0.3).tolist() == [
        lower[0].tolist()
    ]


def test_the_first_share_is_97_percent_and_falls_by_two():
    outer = [0, 0, 100, 100]
    # 96 % of the second lies in the first
    boxes = np.array([outer, [0, -4, 100, 96], [200, 0, 220, 90]])
    assert len(limit_count(boxes, 3)) == 3  # few enough: nothing is thinned
    assert limit_count(boxes, 2).tolist() == [outer, boxes[2].tolist()]


def test_what_does_not_overlap_is_thinned_evenly():
    boxes = np.array([[0, 20 * i, 10, 20 * i + 10] for i in range(9)])
    assert limit_count(boxes, 3)[:, 1].tolist() == [160, 80, 0]


@pytest.mark.parametrize('most', [1, 16, 32, 300])
def test_parts_lie_on_the_object_and_are_at_most_so_many(most):
    mask = square_mask()
    parts = sample_parts(mask, most, rng())
    assert 1 <= len(parts) <= most and parts.dtype == np.int64
    assert is_part(parts, sums(mask)).all()
    sides = parts[:, 2:] - parts[:, :2]
    assert (
        (sides % 2 == 1).all()
        and (sides[:, 0] == sides[:, 1]).all()
        and sides.min() >= 25
        and sides.max() <= 113
    )
    covered = np.zeros_like(mask)
    for x1, y1, x2, y2 in parts:
        covered[y1:y2, x1:x2] = True
    assert covered[mask].mean() > (0.5 if most == 1 else 0.97)


def test_the_remainder_at_the_right_and_lower_edge_is_sampled():
    """110 = 4 blocks of 24 and a strip of 14: here only the strips have the object's corner
    pixels.
    """
    mask = np.zeros((300, 300), dtype=bool)
    mask[50:160, 50:160] = True
    # a frame of pixels, that of blocks at the left and at the top two pixels wide
    mask[52:144, 52:144] = False
    parts = sample_parts(mask, 300, rng())
    assert parts[:, 2].max() > 150 and parts[:, 3].max() > 150


@pytest.mark.parametrize('shape', [(1, 1), (3, 200), (7, 7)])
def test_an_object_on_which_no_square_fits_is_one_part(shape):
    mask = np.zeros((240, 320), dtype=bool)
    mask[20 : 20 + shape[0], 40 : 40 + shape[1]] = True
    assert sample_parts(mask, 32, rng()).tolist() == [[40, 20, 40 + shape[1], 20 + shape[0]]]


def test_no_object_has_no_parts():
    assert sample_parts(np.zeros((20, 30), dtype=bool), 32, rng()).shape == (0, 4)
    with pytest.raises(ValueError, match='one part'):
        sample_parts(square_mask(), 0, rng())


def test_chance_comes_from_the_generator_alone():
    np.random.seed(0)
    first = sample_parts(square_mask(), 32, rng(3))
    np.random.seed(1)
    assert np.array_equal(first, sample_parts(square_mask(), 32, rng(3)))
    assert not np.array_equal(first, sample_parts(square_mask(), 32, rng(4)))
    assert np.random.randint(1000) == np.random.RandomState(1).randint(1000)  # untouched


def test_a_block_is_thinned_from_ten_boxes_on_at_95_percent(monkeypatch):
    calls = []
    monkeypatch.setattr(
        sampling,
        'suppress_nested',
        lambda boxes, share: calls.append((len(boxes), share)) or suppress_nested(boxes, share),
    )
    mask = np.zeros((400, 400), dtype=bool)
    mask[90:230, 150:260] = True
    sample_parts(mask, 10**6, np.random.default_rng(0))
    assert len(calls) > 5 and all(count >= 10 and share == 0.95 for count, share in calls)
