"""The arithmetic of SiamMask gives the same for torch and numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmvos.models.siammask.anchors import (
    anchor_cells,
    anchor_grid,
    change_penalty,
    decode_boxes,
    pick_anchors,
    rank_anchors,
)
from mmvos.models.siammask.state import SearchWindow, center_probabilities, paste_cell_masks
from mmvos.onnx.settings import VoteSettings
from mmvos.ops.arrays import as_numpy, largest, to_device
from mmvos.ops.boxes import box_overlaps, corners_of
from mmvos.ops.siamese_geometry import cut_windows, mean_color

RNG = np.random.default_rng(0)
CELLS = 5
ANCHORS = 5 * CELLS**2
MASKS = RNG.random((4, 31, 31), dtype=np.float32)
IMAGE = RNG.uniform(0, 255, (3, 37, 52)).astype(np.float32)
WINDOWS = [(-4, 3, 30), (10, -20, 64)]
BOXES = np.concatenate(
    [RNG.uniform(-50, 50, (2, ANCHORS, 2)), RNG.uniform(5, 90, (2, ANCHORS, 2))], axis=-1
)
SCORES = RNG.random((2, ANCHORS))
SIZES = np.array([[30.0, 50], [64, 20]])
LAST = np.array([[3.0, 4, 40, 50], [-20, 5, 60, 20]])
INDEX = np.array([[7, 124], [30, 0]])
ROIS = np.float32([[0, 10, 20, 90, 130], [0, 0, 0, 60, 50], [1, 99, 8, 200, 250], [1, 5, 5, 6, 7]])
PLACES = [SearchWindow((10.5, 20.25), WINDOWS[0], 2.0), SearchWindow((40, 9), WINDOWS[1], 1.5)]
VOTE = VoteSettings(
    top_k=2, iou_weight=0.7, enlarge=0.4, mask_threshold=0.4, min_votes=1, min_area=9.0
)


def both(function, *arguments):
    """The function's results for arrays of numpy and for tensors, as arrays."""
    tensors = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]
    return as_numpy(function(*arguments)), as_numpy(function(*tensors))


@pytest.mark.parametrize(
    ('function', 'arguments'),
    [
        (largest, (SCORES, 10)),
        (to_device, ([[1, 2], [3, 4]], SCORES)),
        (corners_of, (LAST,)),
        (box_overlaps, (LAST, LAST[::-1].copy())),
        (box_overlaps, (BOXES, LAST[:, None])),
        (cut_windows, (IMAGE, WINDOWS, [(1, 2, 3), (40, 50, 60)], 16)),
        (decode_boxes, (BOXES.transpose(0, 2, 1) / 30, anchor_grid(CELLS))),
        (change_penalty, (BOXES, SIZES, 0.1)),
        (rank_anchors, (SCORES, SCORES[::-1].copy(), CELLS, 0.4)),
        (anchor_cells, (INDEX, CELLS)),
        (center_probabilities, (MASKS - 0.2, 0.35)),
        (paste_cell_masks, (MASKS[:2], PLACES, np.array([[0, 3, 4], [1, 0, 2]]), 159, 37, 52)),
        (VOTE.rerank_by_overlap, (SCORES, BOXES, LAST)),
        (VOTE.voter_rois, (BOXES[:, :2], 159)),
        (VOTE.cut_to_boxes, (MASKS, ROIS, ROIS - 3)),
        (VOTE.vote, (MASKS, ROIS, WINDOWS, 255, 37, 52)),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_numpy_and_torch_agree(function, arguments):
    one, other = both(function, *arguments)
    assert one.dtype == other.dtype and one.shape == other.shape
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert one.size > 1 and one.min() < one.max()


def test_chosen_anchors_and_the_color_around_a_frame():
    index = np.array([7, 30])
    arrays = (index, BOXES, SCORES, SCORES[::-1].copy(), MASKS[:2] > 0.5)
    chosen, masks = pick_anchors(*arrays)
    same, same_masks = pick_anchors(*(torch.from_numpy(array) for array in arrays))
    assert chosen == same and [anchor.index for anchor in chosen] == [7, 30]
    assert chosen[1].box == tuple(BOXES[1, 30]) and chosen[0].score == SCORES[0, 7]
    assert np.array_equal(masks, same_masks)
    assert mean_color(IMAGE) == mean_color(torch.from_numpy(IMAGE))
    assert mean_color(np.full((3, 2, 2), 10.9, np.float32)) == (11, 11, 11)


def test_the_largest_come_first_and_equal_ones_in_their_order():
    values = np.array([[1.0, 3.0, 2.0, 3.0], [5.0, 4.0, 6.0, 0.0]])
    assert largest(values, 3).tolist() == [[1, 3, 2], [2, 0, 1]]
