"""Anchors of the siamese tracker against the published values, and the choice among them with
numbers worked out by hand.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmvos.models.siammask.anchors import (
    anchor_grid,
    change_penalty,
    cosine_window,
    decode_boxes,
)


def corners(box: torch.Tensor) -> list[float]:
    center, half = box[:2], box[2:] / 2
    return [*(center - half).tolist(), *(center + half).tolist()]


def test_the_five_anchors_of_a_cell():
    single = anchor_grid(1)
    assert [corners(box) for box in single] == [
        [-52, -16, 52, 16],
        [-44, -20, 44, 20],
        [-32, -32, 32, 32],
        [-20, -40, 20, 40],
        [-16, -48, 16, 48],
    ]


def test_the_grid_of_tracking():
    grid = anchor_grid(25)
    assert grid.shape == (3125, 4)
    for row, expected in {
        0: (-96, -96, 104, 32),
        1: (-88, -96, 104, 32),
        25: (-96, -88, 104, 32),
        625: (-96, -96, 88, 40),
        3124: (96, 96, 32, 96),
    }.items():
        assert tuple(grid[row].tolist()) == expected


def test_the_grids_of_training():
    grid = anchor_grid(25, 127).reshape(5, 25, 25, 4)
    assert corners(grid[0, 0, 0]) == [-21, 15, 83, 47]
    assert grid[2, 12, 12].tolist() == [127, 127, 64, 64]
    small = anchor_grid(3, 71)
    assert (small[0, 0].item(), small[-1, 0].item()) == (63, 79)


def test_boxes_are_offset_in_anchor_sizes_and_scaled_by_the_exponential():
    anchors = torch.tensor([[10.0, 20.0, 40.0, 80.0]])
    deltas = torch.tensor([0.5, -0.25, math.log(2), 0.0])[:, None]  # (4, N = 1)
    assert decode_boxes(deltas, anchors)[0].tolist() == pytest.approx([30, 0, 80, 80])
    assert torch.isfinite(decode_boxes(torch.full((4, 1), 1e4), anchors)).all()


def test_penalty_of_a_box_twice_as_large_and_of_one_of_another_shape():
    """Twice the size: change 2, shape 1, exp(-(2 - 1) k). 64 x 64 against 32 x 128: shape 4, size
    sqrt(112 * 208) / 128.
    """
    boxes = torch.tensor(
        [
            [
                [0.0, 0.0, 64.0, 64.0],
                [0.0, 0.0, 128.0, 128.0],
                [0.0, 0.0, 32.0, 32.0],
                [0.0, 0.0, 32.0, 128.0],
            ]
        ]
    )
    found = change_penalty(boxes, torch.tensor([[64.0, 64.0]]), 0.1)[0].tolist()
    size = math.sqrt((32 + 80) * (128 + 80)) / 128
    assert found == pytest.approx(
        [1, math.exp(-0.1), math.exp(-0.1), math.exp(-0.1 * (4 * size - 1))]
    )


def test_each_object_is_compared_with_its_own_size():
    boxes = torch.tensor([[0.0, 0.0, 64.0, 64.0]]).expand(2, 1, 4)
    found = change_penalty(boxes, torch.tensor([[64.0, 64.0], [32.0, 32.0]]), 1.0)
    assert found.flatten().tolist() == pytest.approx([1, math.exp(-1)])


def test_cosine_window():
    """Published: sum 144, 1 in the middle, 2.902623e-4 at cell (1, 1), the same for all anchors of
    a cell.
    """
    window = cosine_window(25).reshape(5, 25, 25)
    assert window[0].sum().item() == pytest.approx(144)
    assert window[0, 12, 12].item() == pytest.approx(1)
    assert window[0, 1, 1].item() == pytest.approx(2.902623e-4, rel=1e-6)
    assert abs(window[:, 0]).max() == 0
    assert (window == window[:1]).all()


@pytest.mark.parametrize('cells', [25, 29])
def test_cosine_window_is_the_same_on_both_sides_of_the_middle(cells):
    """Numpy's Hann window, cosines of equal angles; ``torch.hann_window``'s sides differ by up to
    5.6e-16.
    """
    window = cosine_window(cells).reshape(5, cells, cells)
    assert (window == np.flip(window, 1)).all()
    assert (window == np.flip(window, 2)).all()
    assert (window[0, cells // 2] == np.hanning(cells)).all()
