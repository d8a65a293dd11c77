"""Matching scores and assignment, with the numbers of the method's definition worked out by
hand.
"""

from __future__ import annotations

import pytest
import torch

from mmvos.models.masktrack_rcnn.matching import (
    assign_instances,
    match_scores,
    similarity,
    with_new_object,
)

WEIGHTS = (1.0, 2.0, 10.0)


def test_score_of_two_memories():
    """V1: logits [2, -1], score .9, IoU [.6, .1], the first has the same label."""
    scores = match_scores(
        torch.tensor([[2.0, -1.0]]),
        torch.tensor([0.9]),
        torch.tensor([[0.6, 0.1]]),
        torch.tensor([[True, False]]),
        WEIGHTS,
    )
    torch.testing.assert_close(
        scores, torch.tensor([[7.7248, 10.9248, -3.0752]]), atol=1e-4, rtol=0
    )
    assert assign_instances(scores).tolist() == [1]


@pytest.mark.parametrize(
    'logit, expected, column', [(-3.0, [9.8461, 7.2461], 0), (-0.3, [9.3403, 9.4403], 1)]
)
def test_a_negative_logit_decides_between_new_and_known(logit, expected, column):
    """V2: with IoU .2 and the same label a match needs a logit above -0.4."""
    scores = match_scores(
        torch.tensor([[logit]]),
        torch.tensor([0.9]),
        torch.tensor([[0.2]]),
        torch.tensor([[True]]),
        WEIGHTS,
    )
    torch.testing.assert_close(scores, torch.tensor([expected]), atol=1e-4, rtol=0)
    assert assign_instances(scores).tolist() == [column]


@pytest.mark.parametrize(
    'same, logit, matches',
    [(True, -1.79, True), (True, -1.81, False), (False, 8.19, False), (False, 8.21, True)],
)
def test_a_match_beats_new_where_the_logit_exceeds_what_label_and_overlap_leave(
    same, logit, matches
):
    """z > 10 * (1 - [same label]) - 2 * IoU, here with IoU .9, whatever the detection's score."""
    for score in (0.06, 1.0):
        scores = match_scores(
            torch.tensor([[logit]]),
            torch.tensor([score]),
            torch.tensor([[0.9]]),
            torch.tensor([[same]]),
            WEIGHTS,
        )
        assert (assign_instances(scores).item() == 1) == matches


def test_rows_are_independent():
    """A row's scores do not depend on the other rows (softmax over the memories only)."""
    torch.manual_seed(0)
    logits, scores, ious = torch.randn(5, 3), torch.rand(5), torch.rand(5, 3)
    same = torch.rand(5, 3) > 0.5
    together = match_scores(logits, scores, ious, same, WEIGHTS)
    for i in range(5):
        alone = match_scores(
            logits[i : i + 1], scores[i : i + 1], ious[i : i + 1], same[i : i + 1], WEIGHTS
        )
        torch.testing.assert_close(together[i : i + 1], alone)


@pytest.mark.parametrize(
    'table, columns',
    [
        ([[0.0, 10.0], [0.0, 11.0]], [-1, 1]),  # V4: the second is better
        ([[0.0, 11.0], [0.0, 10.0]], [1, -1]),
        ([[0.0, 11.0], [0.0, 11.0]], [1, -1]),  # a tie: the earlier
        (
            [[8.0, 10.0, 9.9], [8.0, 11.0, 9.0]],
            [-1, 1],
        ),  # the loser does not move to its second choice
        ([[0.0, 5.0], [0.0, 7.0], [0.0, 6.0]], [-1, 1, -1]),
        ([[9.0, 1.0], [8.0, 1.0], [2.0, 3.0]], [0, 0, 1]),  # any number of new objects in one frame
    ],
)
def test_one_detection_per_object_and_losers_vanish(table, columns):
    assert assign_instances(torch.tensor(table)).tolist() == columns


def test_nothing_detected_and_nothing_remembered():
    assert assign_instances(torch.zeros(0, 4)).tolist() == []
    scores = match_scores(
        torch.zeros(2, 0),
        torch.tensor([0.5, 0.1]),
        torch.zeros(2, 0),
        torch.zeros(2, 0, dtype=torch.bool),
        WEIGHTS,
    )
    torch.testing.assert_close(
        scores, torch.tensor([[10 - 0.6931], [10 - 2.3026]]), atol=1e-4, rtol=0
    )
    assert assign_instances(scores).tolist() == [0, 0]
    assert with_new_object(torch.ones(2, 3)).tolist() == [[0, 1, 1, 1]] * 2


def test_similarity_is_the_plain_dot_product_also_under_autocast():
    first, second = (
        torch.tensor([[3.0, 4.0], [100.25, 0.0]]),
        torch.tensor([[1.0, 2.0], [-1.0, 0.0]]),
    )
    expected = [[11.0, -3.0], [100.25, -100.25]]
    assert similarity(first, second).tolist() == expected
    with torch.autocast('cpu', torch.bfloat16):
        assert similarity(first, second).tolist() == expected
