import pytest
import torch

from mmvos.models.masktrack.state import grow_box, guide_boxes, limit_change


def test_box_is_tight_and_ignores_specks_but_not_parts():
    guide = torch.full((3, 40, 60), -1.0)
    guide[0, 10:20, 5:25] = 0.4
    guide[0, 35, 55] = 1  # a speck: 1 of 200 pixels
    guide[1, 0, 0] = 1
    guide[2, 2:12, 2:12] = guide[2, 30:35, 50:55] = 1  # a quarter of the other part's size
    assert guide_boxes(guide).tolist() == [[5, 10, 25, 20], [0, 0, 1, 1], [2, 2, 55, 35]]


def test_nothing_known_is_looked_for_everywhere():
    assert guide_boxes(torch.zeros(1, 40, 60)).tolist() == [[0, 0, 60, 40]]
    assert guide_boxes(torch.zeros(0, 40, 60)).shape == (0, 4)


def test_box_grows_around_its_centre_inside_the_frame():
    assert grow_box(torch.tensor([10.0, 10, 30, 20]), 2, 22, 100).tolist() == [0, 5, 40, 22]


def test_a_box_changes_its_size_slowly_and_its_centre_at_once():
    last = torch.tensor([[0.0, 0, 100, 50], [0, 0, 100, 50], [0, 0, 10, 10]])
    found = torch.tensor([[200.0, 0, 240, 80], [10, 10, 110, 60], [5, 5, 14.9, 15.1]])
    limited = limit_change(found, last, 0.1)
    expected = [[175, 12.5, 265, 67.5], [10, 10, 110, 60], [5, 5, 14.9, 15.1]]
    assert limited.flatten().tolist() == pytest.approx([value for box in expected for value in box])
