"""Assignment of anchors: known boxes, counts, thresholds, and finite targets for every box."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmvos.models.siammask.anchor_targets import AnchorLimits, anchor_targets, encode_boxes

SIZES = ((104, 32), (88, 40), (64, 64), (40, 80), (32, 96))


def grid(cells: int = 25, middle: int = 127) -> torch.Tensor:
    """The published anchors, written out: (N, 4) in the order anchor, y, x."""
    places = [middle + (i - cells // 2) * 8 for i in range(cells)]
    return torch.tensor(
        [(x, y, w, h) for w, h in SIZES for y in places for x in places], dtype=torch.float32
    )


def around(x: float, y: float, w: float, h: float) -> list[float]:
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def targets(box: list[float], negative: bool = False, seed: int = 0, **more):
    generator = torch.Generator().manual_seed(seed)
    return anchor_targets(
        grid(), torch.tensor([box]), torch.tensor([negative]), 25, generator=generator, **more
    )


def test_the_box_of_an_anchor():
    """The box is anchor 2 of the central cell. Moved by 8 px that overlaps by 56 / 72, by 8 px both
    ways by .62, by 16 px by .60, and the nearest other shape, 88 x 40, by .51: nine anchors are
    above .6."""
    found = targets(around(127, 127, 64, 64))
    expected = torch.zeros(5, 25, 25, dtype=torch.bool)
    expected[2, 11:14, 11:14] = True
    assert torch.equal(found.labels[0] == 1, expected)
    assert (found.labels == 0).sum() == 64 - 9
    for seed in range(20):  # two cells away both ways: 48 * 48 / 5888 = .39
        assert (targets(around(127, 127, 64, 64), seed=seed).labels[0, 2, 10:15, 10:15] != 0).all()


def test_no_more_positives_than_allowed():
    """Of the nine, four are drawn; the other five are ignored, not background."""
    found = targets(around(127, 127, 64, 64), limits=AnchorLimits(max_positives=4, total=10))
    assert (found.labels == 1).sum() == 4 and (found.labels == 0).sum() == 6
    assert (found.labels[0, 2, 11:14, 11:14] == -1).sum() == 5
    assert found.weights.max().item() == pytest.approx(1 / 4, abs=1e-5)


def test_deltas_lead_back_to_the_box():
    box = around(140, 120, 70, 50)
    found = targets(box)
    positive = (found.labels == 1).flatten()
    assert positive.any()
    x, y, w, h = grid()[positive].T
    dx, dy, dw, dh = found.deltas.reshape(4, -1)[:, positive]
    for value, expected in (
        (x + dx * w, 140),
        (y + dy * h, 120),
        (w * dw.exp(), 70),
        (h * dh.exp(), 50),
    ):
        assert torch.allclose(value, torch.full_like(value, expected), atol=1e-3)
    assert (found.deltas.reshape(4, -1)[:, ~positive] == 0).all()
    assert found.weights.sum().item() == pytest.approx(1, abs=1e-5)
    assert ((found.weights > 0) == (found.labels == 1)).all()


def test_encode_known_values():
    deltas = encode_boxes(
        torch.tensor([[100.0, 50.0, 40.0, 80.0]]), torch.tensor([[100.0, 40.0, 180.0, 80.0]])
    )
    assert deltas.flatten().tolist() == pytest.approx([1.0, 0.125, math.log(2), math.log(0.5)])


def test_a_pair_of_different_objects_has_16_negatives_in_the_center():
    found = targets(around(127, 127, 64, 64), negative=True)
    assert (
        (found.labels == 1).sum() == 0 and (found.weights == 0).all() and (found.deltas == 0).all()
    )
    places = (found.labels[0] == 0).nonzero()
    assert len(places) == 16 and places[:, 1:].min() >= 9 and places[:, 1:].max() <= 15
    counts = sum(
        (targets(around(127, 127, 64, 64), True, seed).labels[0] == 0) for seed in range(60)
    )
    assert (
        (counts > 0).any(dim=0).nonzero().min(dim=0).values.tolist(),
        (counts > 0).any(dim=0).nonzero().max(dim=0).values.tolist(),
    ) == ([9, 9], [15, 15])
    assert (counts > 0).any(dim=1).any(dim=1).all()  # all five anchors are drawn


def test_background_is_drawn_in_proportion_to_its_chances():
    """Two groups of background: ten anchors with chance .9 and the rest with .001 (2.9 in all); of
    55 draws without replacement nearly all of the ten are among them, of all drawn alike 55 * 10 /
    3000."""
    box = around(127, 127, 64, 64)
    background = targets(box, limits=AnchorLimits(total=5000)).labels.flatten() == 0
    likely = background.nonzero()[::300, 0][:10]
    chances = torch.full((1, 3125), 0.001)
    chances[0, likely] = 0.9
    weighted, alike = (
        sum(
            (targets(box, seed=seed, **more).labels.flatten()[likely] == 0).sum().item()
            for seed in range(20)
        )
        for more in (dict(chances=chances), {})
    )
    assert weighted >= 195 and alike <= 20
    found = targets(box, chances=chances)
    assert (found.labels == 1).sum() == 9 and (found.labels == 0).sum() == 55


def test_a_box_like_no_anchor_takes_the_best_ones():
    """A square of 100 px: anchors of 64 x 64 inside it overlap by 4096 / 10000; no other shape by
    more.
    """
    box = around(127, 127, 100, 100)
    assert (targets(box).labels == 1).sum() == 0
    places = (
        targets(box, limits=AnchorLimits(min_overlap=0.3, max_positives=99)).labels[0] == 1
    ).nonzero()
    squares = places[places[:, 0] == 2]  # all that lie inside, up to 18 px from the middle
    assert (
        len(squares) == 25
        and (squares[:, 1:] - 12).abs().max() == 2
        and set(places[:, 0].tolist()) <= {1, 2, 3}
    )
    found = targets(box, limits=AnchorLimits(min_overlap=0.3))
    assert ((found.labels == 1).sum(), (found.labels == 0).sum()) == (16, 48)
    assert (targets(box, limits=AnchorLimits(min_overlap=0.5)).labels == 1).sum() == 0
    assert torch.equal(
        targets(around(127, 127, 64, 64), limits=AnchorLimits(min_overlap=0.3)).labels,
        targets(around(127, 127, 64, 64)).labels,
    )
    # .21 with squares of 64 px: below .3, and yet none of those that are not drawn is background
    box = around(127, 127, 140, 140)
    large = targets(box, limits=AnchorLimits(min_overlap=0.1, max_positives=999))
    assert (large.labels[0, 2, 12, 12], large.weights.sum().item()) == (
        1,
        pytest.approx(1, abs=1e-5),
    )
    for seed in range(20):
        drawn = targets(box, seed=seed, limits=AnchorLimits(min_overlap=0.1, total=3000)).labels
        assert (
            (drawn == 1).sum() == 16
            and (drawn[large.labels == 1] != 0).all()
            and (drawn == 0).any()
        )


def test_draws_follow_the_generator_and_differ():
    box = around(127, 127, 64, 64)
    assert torch.equal(targets(box, seed=1).labels, targets(box, seed=1).labels)
    assert not torch.equal(targets(box, seed=1).labels, targets(box, seed=2).labels)


def test_pairs_of_a_batch_do_not_touch_each_other():
    boxes = torch.tensor(
        [around(127, 127, 64, 64), around(30, 30, 90, 40), around(200, 100, 40, 80)]
    )
    found = anchor_targets(grid(), boxes, torch.tensor([False, True, False]), 25)
    assert (found.labels == 1).flatten(1).any(dim=1).tolist() == [True, False, True]
    assert found.weights.flatten(1).sum(dim=1).tolist() == pytest.approx([1, 0, 1], abs=1e-5)


def test_grid_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='3124 anchors'):
        anchor_targets(grid()[:-1], torch.zeros(1, 4), torch.tensor([False]), 25)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-400, 700),
            st.floats(-400, 700),
            st.floats(0, 900),
            st.floats(0, 900),
            st.booleans(),
        ),
        min_size=0,
        max_size=4,
    ),
    st.sampled_from([(25, 127), (3, 71)]),
)
def test_targets_are_finite_and_counted_for_every_box(rows, place):
    cells, middle = place
    boxes = torch.tensor([around(*row[:4]) for row in rows]).reshape(-1, 4)
    negative = torch.tensor([row[4] for row in rows], dtype=torch.bool)
    found = anchor_targets(grid(cells, middle), boxes, negative, cells)
    assert found.labels.shape == (len(rows), 5, cells, cells) and found.deltas.shape == (
        len(rows),
        4,
        5,
        cells,
        cells,
    )
    assert found.deltas.isfinite().all() and found.weights.isfinite().all()
    positives, negatives = ((found.labels == kind).flatten(1).sum(dim=1) for kind in (1, 0))
    assert (
        (positives <= 16).all()
        and (positives + negatives <= 64).all()
        and (negatives[negative] <= 16).all()
    )
    assert (positives[negative] == 0).all()
