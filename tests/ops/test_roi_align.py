"""RoIAlign as embedding_bag against mmcv's compiled operator, values and gradients."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import RoIAlign

from mmvos.ops.crop import roi_align

# index of the image, box in image pixels; the features are those of a 64 x 48 image at stride 4
ROIS = torch.tensor(
    [
        [0, 3.2, 5.7, 40.1, 33.3],
        [1, 0.0, 0.0, 64.0, 48.0],
        [0, -30.0, -20.0, 20.0, 20.0],  # over the upper left corner
        [1, 50.0, 40.0, 90.0, 70.0],  # over the lower right corner
        [0, 200.0, 200.0, 240.0, 240.0],  # outside
        [1, -300.0, 10.0, -200.0, 20.0],
        [0, 10.0, 10.0, 10.0, 10.0],  # no area
        [1, 12.3, 9.9, 12.9, 10.1],  # less than a cell
        [0, -1000.0, -1000.0, 1000.0, 1000.0],
        [1, 61.9, 0.0, 66.1, 48.0],  # samples within the one cell of tolerance beyond the edge
    ]
)


@pytest.mark.parametrize('samples', [1, 2])
@pytest.mark.parametrize('size', [7, 2])
def test_equals_mmcv_forward_and_backward(samples, size):
    generator = torch.Generator().manual_seed(samples)
    values = torch.randn(2, 5, 12, 16, generator=generator)
    ours = values.clone().contiguous(memory_format=torch.channels_last).requires_grad_()
    theirs = values.clone().requires_grad_()
    out = roi_align(ours, ROIS, size, 0.25, samples)
    reference = RoIAlign(size, 0.25, samples, aligned=True)(theirs, ROIS)
    assert out.shape == (len(ROIS), 5, size, size)
    torch.testing.assert_close(out, reference, atol=1e-5, rtol=1e-5)
    weights = torch.randn(out.shape, generator=generator)
    (out * weights).sum().backward()
    (reference * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)
    assert ours.grad.abs().sum() > 0


def test_a_plane_is_sampled_at_the_cell_centers():
    """Features f(x, y) = x + 100 y at cell centers: bilinear sampling gives the plane back,
    exactly, at any box.
    """
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing='ij')
    plane = (columns + 100 * rows)[None, None]
    out = roi_align(plane, torch.tensor([[0, 8.0, 4.0, 24.0, 20.0]]), 2, 0.25, 1)
    # The box is 2..6 by 1..5 in cells; the centers of its quarters are 3, 5 and 2, 4; cell i has
    # its center at i + 0.5.
    torch.testing.assert_close(
        out[0, 0], torch.tensor([[2.5 + 150, 4.5 + 150], [2.5 + 350, 4.5 + 350]])
    )


def test_no_region():
    features = torch.randn(1, 3, 8, 8, requires_grad=True)
    assert roi_align(features, torch.zeros(0, 5), 7, 0.25, 2).shape == (0, 3, 7, 7)
