"""Peaks, motion_outliers parts and votes, with numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from mmvos.models.parts.tracked_parts import (
    blend_prior,
    find_peaks,
    motion_outliers,
    warp_parts,
)


def bump(x: float, y: float, cells: int = 25, width: float = 8.0) -> torch.Tensor:
    """A paraboloid with its top at (x, y) cells from the middle."""
    line = torch.arange(cells) - cells // 2
    return (1 - ((line - x) / width)[None] ** 2 - ((line - y) / width)[:, None] ** 2).float()


@pytest.mark.parametrize(
    'place', [(0.0, 0.0), (3.0, -5.0), (1.25, -0.4), (-10.75, 10.5), (0.5, 0.0)]
)
def test_the_peak_of_a_parabola_is_found_to_a_fraction_of_a_cell(place):
    offset, score = find_peaks(bump(*place)[None], 0.0)
    assert offset[0].tolist() == pytest.approx(place, abs=1e-4)
    assert score[0] == pytest.approx(1 - sum((v - round(v)) ** 2 for v in place) / 64, abs=1e-5)


def test_at_the_rim_the_cell_itself_is_the_place():
    offset, _ = find_peaks(bump(14, -3)[None], 0.0)
    assert offset[0].tolist() == pytest.approx([12, -3], abs=1e-4)
    # where nothing differs it stays where it was
    flat, score = find_peaks(torch.zeros(1, 25, 25), 0.3)
    assert flat[0].tolist() == pytest.approx([0, 0], abs=1e-4) and score.tolist() == [0]


def test_the_window_is_one_in_the_middle_and_weighs_as_it_is_told():
    """Two equal peaks: the nearer one wins; a far one that is better by more than the window's
    share wins over it.
    """
    scores = torch.zeros(2, 25, 25)
    scores[:, 12, 16] = 0.6
    scores[0, 12, 4] = 0.6
    scores[1, 12, 4] = 0.9
    near, _ = find_peaks(scores, 0.2)
    assert near[:, 0].round().tolist() == [4, -8]
    weak, score = find_peaks(scores, 0.9)
    # .9 * 1 in the middle against .9 * .75 + .1 * .6 four cells from it
    assert weak[1, 0].round() == 0 and score[1] == 0


def test_a_part_that_moves_unlike_its_neighbors_is_an_outlier():
    places = torch.tensor([[10.0 * i, 0.0] for i in range(6)])
    moves = torch.tensor([[5.0, 1.0]] * 5 + [[25.0, 1.0]])
    one = torch.zeros(6, dtype=torch.long)
    assert motion_outliers(places, moves, one, torch.full((6,), 3.0)).tolist() == [False] * 5 + [
        True
    ]
    # within what is always allowed
    assert not motion_outliers(places, moves, one, torch.full((6,), 21.0)).any()
    lively = moves + torch.tensor(
        [[0.0, -16.0], [0.0, -8.0], [0.0, 0.0], [0.0, 8.0], [0.0, 16.0], [0.0, 0.0]]
    )
    # 20 < 3 * 8: each moves on its own
    assert not motion_outliers(places, lively, one, torch.full((6,), 3.0)).any()


@pytest.mark.parametrize(('move', 'outlier'), [(23.0, False), (25.0, True)])
def test_an_outlier_is_more_than_three_median_deviations_off(move, outlier):
    """The neighbors move by -16, -8, 0, 8 and 16 pixels down: their median is 0, their deviations
    from it are 16, 8, 0, 8 and 16, the median of those 8, and three times that 24.
    """
    places = torch.tensor([[10.0 * i, 0.0] for i in range(6)])
    moves = torch.tensor(
        [[0.0, -16.0], [0.0, -8.0], [0.0, 0.0], [0.0, 8.0], [0.0, 16.0], [move, 0.0]]
    )
    found = motion_outliers(places, moves, torch.zeros(6, dtype=torch.long), torch.full((6,), 3.0))
    assert found[5] == outlier


def test_neighbors_are_of_the_same_object_and_at_least_three():
    places = torch.tensor(
        [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    )
    moves = torch.tensor([[0.0, 0.0]] * 4 + [[50.0, 0.0]] * 3)
    tolerance = torch.ones(7)
    assert not motion_outliers(places, moves, torch.tensor([0, 0, 0, 0, 1, 1, 1]), tolerance).any()
    assert motion_outliers(places, moves, torch.zeros(7, dtype=torch.long), tolerance).any()
    moves[6] = -50.0  # nobody can say which of three is wrong
    assert not motion_outliers(places, moves, torch.tensor([0, 0, 0, 0, 1, 1, 1]), tolerance).any()
    assert motion_outliers(
        places[:0], moves[:0], torch.zeros(0, dtype=torch.long), tolerance[:0]
    ).shape == (0,)


def test_parts_vote_by_their_mean():
    """The spec's two parts (.9, .8, -, -) and (.5, .9, .6, -): the first two pixels have two, the
    third one, the last none.
    """
    source = torch.tensor([[0.9, 0.8, 0.0, 0.0, 0.5, 0.9, 0.6, 0.0]])
    votes, counts = warp_parts(source, [(0, 0, 2, 1), (4, 0, 7, 1)], [(0, 0), (-4, 0)])
    assert torch.allclose(votes[0, :4], torch.tensor([0.7, 0.85, 0.6, 0.0])) and counts[
        0
    ].tolist() == [2, 2, 1, 0, 0, 0, 0, 0]


def test_parts_may_move_out_of_the_frame_and_come_from_its_edge():
    source = torch.arange(1.0, 13).view(3, 4)
    votes, counts = warp_parts(source, [(0, 0, 4, 3)], [(2, -1)])
    assert votes.tolist() == [[0, 0, 5, 6], [0, 0, 9, 10], [0, 0, 0, 0]]
    assert counts.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]
    for shift in ((4, 0), (-4, 0), (0, 3), (0, -3), (9, 9)):
        assert not warp_parts(source, [(0, 0, 4, 3)], [shift])[1].any()
    assert not warp_parts(source, [], [])[1].any()


def test_attention_turns_the_guide_towards_the_votes():
    guide = torch.tensor([[1.0, -1.0, 0.5, -1.0, 0.8]])
    votes, counts = (
        torch.tensor([[0.0, 1.0, 0.75, 0.0, 0.0]]),
        torch.tensor([[1.0, 2.0, 1.0, 0.0, 0.0]]),
    )
    assert torch.equal(blend_prior(guide, votes, counts, 0.0), guide)
    assert torch.allclose(
        blend_prior(guide, votes, counts, 1.0), torch.tensor([[-1.0, 1.0, 0.5, -1.0, 0.8]])
    )
    assert torch.allclose(
        blend_prior(guide, votes, counts, 0.5), torch.tensor([[0.0, 0.0, 0.5, -1.0, 0.8]])
    )
