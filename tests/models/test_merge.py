"""The merge table of the specification (case 13)."""

import numpy as np
import pytest
import torch

from mmvos.models.prompted_tracking import (
    hard_merge,
    most_probable,
    soft_aggregate,
    soft_merge,
    winners,
)


def probability(background: float, foreground: float) -> float:
    return float(torch.tensor(foreground - background, dtype=torch.float64).sigmoid())


@pytest.mark.parametrize(
    ('logits', 'hard', 'soft'),
    [
        (((2, 1), (2, 1)), 0, 0),
        (((-1, 3), (5, 1)), 1, 1),
        # 2 by the foreground logits of the public code; here an object has one logit
        (((-9, 2), (2.4, 2.5)), 1, 1),
        (((1.5, 1.5), (7, 0)), 1, None),
        (((0, 4), (0, 4)), 2, None),
    ],
)
def test_winner_of_a_pixel(logits, hard, soft):
    p = torch.tensor([probability(*pair) for pair in logits]).reshape(2, 1, 1)
    merged = hard_merge(p)
    assert merged.flatten().tolist() == [float(hard == 1), float(hard == 2)]
    if soft is not None:
        objects, background = soft_aggregate(p)
        assert int(torch.cat([background[None], objects]).argmax()) == soft


def test_first_of_equal_objects_where_asked_for():
    """SiamMask's argmax: at the tie the first, elsewhere the most certain, nobody below one
    half.
    """
    p = torch.tensor([[0.9, 0.6, 0.4], [0.9, 0.7, 0.4], [0.9, 0.5, 0.4]])[:, None]
    assert hard_merge(p, first_wins=True)[:, 0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert hard_merge(p)[:, 0].tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_soft_aggregation_numbers():
    p = torch.tensor([0.8, 0.6]).reshape(2, 1, 1)
    objects, background = soft_aggregate(p, torch.full((1, 1), 0.3))
    assert [background.item(), *objects.flatten().tolist()] == pytest.approx(
        [0.072289, 0.674699, 0.253012], abs=1e-6
    )
    objects, background = soft_aggregate(p)
    assert [background.item(), *objects.flatten().tolist()] == pytest.approx(
        [0.015564, 0.715953, 0.268482], abs=1e-6
    )


def test_guides_after_merging_stay_between_minus_one_and_one():
    p = torch.rand(4, 6, 6)
    for merged in (hard_merge(p), soft_aggregate(p)[0]):
        guide = 2 * merged - 1
        assert guide.min() >= -1 and guide.max() <= 1 and merged.sum(dim=0).max() <= 1 + 1e-6
    assert set(hard_merge(p).unique().tolist()) <= {0.0, 1.0}


def test_no_objects():
    assert (
        hard_merge(torch.zeros(0, 3, 4)).shape
        == soft_aggregate(torch.zeros(0, 3, 4))[0].shape
        == (0, 3, 4)
    )


@pytest.mark.parametrize('count', [0, 1, 3])
def test_rows_that_are_merged_apart_are_merged_as_together(count):
    """To the last bit; 70 rows are two blocks and a part of one."""
    p = torch.rand(count, 70, 9, generator=torch.Generator().manual_seed(count))
    assert torch.equal(soft_merge(p), soft_aggregate(p)[0])
    assert np.array_equal(soft_merge(p.numpy()), soft_aggregate(p.numpy())[0])


def test_a_pixel_is_the_first_of_the_best_or_nobodys():
    merged = torch.tensor([[0.2, 0.4, 0.1, 0.3], [0.7, 0.4, 0.1, 0.2], [0.1, 0.2, 0.6, 0.1]])
    expected = [1, 0, 2, -1]
    assert winners(merged[:, None], [1, 2, 3], None).flatten().tolist() == expected
    assert winners(merged[:, None].numpy(), [1, 2, 3], None).flatten().tolist() == expected


def test_the_most_probable_object_is_that_of_argmax():
    """On values of which many are equal."""
    p = torch.randint(0, 4, (5, 30, 40), generator=torch.Generator().manual_seed(0)) / 4
    number, best = most_probable(p, first_wins=True)
    assert torch.equal(best, p.amax(dim=0))
    assert np.array_equal(number.numpy(), p.numpy().argmax(axis=0))
    number, _ = most_probable(p, first_wins=False)
    assert np.array_equal(number.numpy(), 4 - p.numpy()[::-1].argmax(axis=0))
