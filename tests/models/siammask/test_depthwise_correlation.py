"""Depth-wise correlation against numbers worked out by hand and against a loop over objects and
channels.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mmvos.models.siammask.network import depthwise_correlation


def test_two_objects_of_two_channels():
    features = torch.arange(36.0).view(2, 2, 3, 3)
    kernels = torch.tensor(
        [
            [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]],
            [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, -1.0]]],
        ]
    )
    assert depthwise_correlation(features, kernels).tolist() == [
        [[[4, 6], [10, 12]], [[22, 24], [28, 30]]],
        [[[80, 84], [92, 96]], [[-4, -4], [-4, -4]]],
    ]


@pytest.mark.parametrize(
    'memory_format', [torch.contiguous_format, torch.channels_last], ids=['first', 'last']
)
def test_equals_a_loop(memory_format):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 4, 9, 8, generator=generator).to(memory_format=memory_format)
    kernels = torch.randn(3, 4, 5, 5, generator=generator).to(memory_format=memory_format)
    found = depthwise_correlation(features, kernels)
    assert found.shape == (3, 4, 5, 4)
    for k in range(3):
        for c in range(4):
            expected = F.conv2d(features[k, c][None, None], kernels[k, c][None, None])[0, 0]
            torch.testing.assert_close(found[k, c], expected, rtol=1e-5, atol=1e-5)


def test_padding_of_three_keeps_the_size_of_the_search_features():
    """What S2iamMask needs: 31 cells of search features and kernels of 7 give 31 x 31."""
    assert depthwise_correlation(
        torch.ones(1, 2, 31, 31), torch.ones(1, 2, 7, 7), padding=3
    ).shape == (1, 2, 31, 31)


def test_other_numbers_of_objects_are_refused():
    with pytest.raises(AssertionError, match='features'):
        depthwise_correlation(torch.zeros(2, 4, 9, 9), torch.zeros(1, 4, 5, 5))
