"""DepthwiseXCorr: sizes, objects kept apart, one cell against all cells."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mmvos.models import DepthwiseXCorr

CHANNELS = 4


@pytest.fixture(scope='module')
def neck() -> DepthwiseXCorr:
    torch.manual_seed(0)
    neck = DepthwiseXCorr(channels=CHANNELS).eval()
    for module in neck.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # each branch another statistics
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return neck


@pytest.mark.parametrize(('cells', 'answers'), [(31, 25), (9, 3), (35, 29)])
def test_sizes(neck, cells, answers):
    with torch.no_grad():
        kernels = neck.encode_template(torch.rand(2, CHANNELS, 7, 7))
        assert kernels.shape == (2, 3, CHANNELS, 5, 5)
        for branch in ('score', 'box', 'mask'):
            found = neck.correlate(kernels, torch.rand(2, CHANNELS, cells, cells), branch)
            assert found.shape == (2, CHANNELS, answers, answers)


def test_three_branches_of_their_own(neck):
    template, search = torch.rand(1, CHANNELS, 7, 7), torch.rand(1, CHANNELS, 9, 9)
    with torch.no_grad():
        kernels = neck.encode_template(template)
        for b, branch in enumerate(('score', 'box', 'mask')):
            kernel = F.relu(
                neck.kernel[branch][1](F.conv2d(template, neck.kernel[branch][0].weight))
            )
            torch.testing.assert_close(kernels[:, b], kernel)
            seen = F.relu(neck.search[branch][1](F.conv2d(search, neck.search[branch][0].weight)))
            expected = F.conv2d(seen, kernel[0][:, None], groups=CHANNELS)
            torch.testing.assert_close(neck.correlate(kernels, search, branch), expected)


def test_one_cell_of_the_mask_branch_is_that_of_the_whole_map(neck):
    with torch.no_grad():
        kernels = neck.encode_template(torch.rand(3, CHANNELS, 7, 7))
        search = torch.rand(3, CHANNELS, 31, 31)
        whole = neck.correlate(kernels, search, 'mask')
        cells = [(0, 0, 24), (1, 12, 3), (2, 24, 24), (0, 7, 8)]
        found = neck.correlate_at(kernels, search, torch.tensor(cells))
    for answer, (k, row, column) in zip(found, cells, strict=True):
        torch.testing.assert_close(answer, whole[k, :, row, column])
