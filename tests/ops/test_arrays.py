"""The arithmetic on masks gives the same for torch and numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmvos.models.masktrack.state import (
    box_with_points,
    disks_at_points,
    grow_box,
    guide_boxes,
    limit_change,
)
from mmvos.models.prompted_tracking import hard_merge, soft_aggregate
from mmvos.ops.arrays import array_like, as_numpy, fetch, pad_maps, resize
from mmvos.ops.crop import crop_squares, draw_clicks, paste_squares, squares_around

RNG = np.random.default_rng(0)
MAPS = RNG.random((3, 37, 52), dtype=np.float32)
BOXES = np.float32([[3, 4, 20, 31], [-5, 2, 60, 50], [10, 10, 11, 11]])
SQUARES = np.int64([[-4, 3, 30], [10, -20, 64], [90, 90, 8]])
CLICKS = np.float32([[[12, 9, 1], [3, 3, -1]], [[30, 5, 1], [0, 0, 0]], [[92, 93, 1], [1, 1, 0]]])


def both(function, *arguments):
    """The function's results for arrays of numpy and for tensors, as arrays."""
    tensors = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]
    found = function(*arguments), function(*tensors)
    return [as_numpy(item[0] if isinstance(item, tuple) else item) for item in found]


@pytest.mark.parametrize(
    ('function', 'arguments'),
    [
        (squares_around, (BOXES, 1.8, 32, 600)),
        (squares_around, (BOXES, np.float32([1.5, 2, 3]), 4, 60)),
        (crop_squares, (MAPS[:, None], [0, 1, 2], SQUARES, 16)),
        (crop_squares, (MAPS[None], [0, 0, 0], SQUARES, 48)),
        (paste_squares, (MAPS[:, :16, :16], SQUARES, 37, 52)),
        (soft_aggregate, (MAPS,)),
        (soft_aggregate, (MAPS[:0],)),
        (hard_merge, (MAPS,)),
        (hard_merge, (MAPS, True)),
        (guide_boxes, (MAPS - 0.9,)),
        (limit_change, (BOXES, BOXES[::-1].copy(), 0.1)),
        (grow_box, (BOXES[0], 1.5, 37, 52)),
        (draw_clicks, (CLICKS, SQUARES, 64)),
        (box_with_points, (BOXES[0], CLICKS[1])),
        (disks_at_points, (CLICKS[0], MAPS[0], 4)),
        (pad_maps, (MAPS, (40, 60))),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_numpy_and_torch_agree(function, arguments):
    one, other = both(function, *arguments)
    assert one.dtype == other.dtype and one.shape == other.shape
    np.testing.assert_allclose(one, other, atol=5e-5)


@pytest.mark.parametrize('size', [(37, 52), (80, 80), (20, 30), (60, 25)])
def test_resizing(size):
    one, other = both(resize, MAPS[None], *size)
    assert one.shape == (1, 3, *size)
    np.testing.assert_allclose(one, other, atol=5e-5)


def test_resizing_smooths_what_becomes_smaller():
    """Stripes one pixel wide become gray; without smoothing they would stay or vanish."""
    stripes = np.zeros((1, 1, 8, 64), np.float32)
    stripes[..., ::2] = 1
    assert np.abs(resize(stripes, 8, 16)[..., 1:-1] - 0.5).max() < 0.05


def test_an_array_is_made_of_the_kind_of_another():
    assert isinstance(array_like([1, 2], MAPS), np.ndarray)
    assert torch.is_tensor(array_like([1, 2], torch.zeros(1)))


def test_arrays_are_fetched_as_they_are():
    """On a CPU they are the tensors' own memory; of a device see ``test_device_waits``."""
    arrays = (torch.arange(3), torch.tensor([True, False]), torch.zeros(0, 4), torch.tensor(2.5))
    found = fetch(*arrays)
    for array, own in zip(arrays, found, strict=True):
        assert own.shape == tuple(array.shape)
        assert own.tolist() == array.tolist()
