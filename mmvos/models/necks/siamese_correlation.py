"""SiameseCorrelation: compares a search image with a template, for scores, boxes and masks apart.

Li et al., SiamRPN++, CVPR 2019, section 3.3; Wang et al., SiamMask, CVPR 2019. Each of the three
branches has a convolution for the template, which gives a kernel, and one for the search image,
over which the kernel slides. The kernels are made once, when an object starts. K objects, C
channels, a x a cells of the template (7), m x m of the search image (31), n x n of the answer (25).
"""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvos.ops.correlation import depthwise_correlation
from mmvos.registry import MODELS

BRANCHES = ('score', 'box', 'mask')


@MODELS.register_module()
class SiameseCorrelation(BaseModule):
    """Depth-wise cross-correlation with a template and a search convolution per branch.

    Args:
        channels: C.
    """

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.kernel = nn.ModuleDict({name: _layer(channels) for name in BRANCHES})
        self.search = nn.ModuleDict({name: _layer(channels) for name in BRANCHES})

    def encode_template(self, template: Tensor) -> Tensor:
        """Kernels (K, 3, C, a - 2, a - 2) of score, box and mask, from adjusted features (K, C, a,
        a).
        """
        return torch.stack([self.kernel[name](template) for name in BRANCHES], dim=1)

    def correlate(self, kernels: Tensor, search: Tensor, branch: str, padding: int = 0) -> Tensor:
        """The answer of one branch at all cells.

        Args:
            kernels: (K, 3, C, a - 2, a - 2).
            search: (K, C, m, m) adjusted features.
            branch: 'score', 'box' or 'mask'.
            padding: cells of zeros around; with 3 the answer has the places of the search features.

        Returns:
            (K, C, n, n), n = m - a + 1 + 2 padding.
        """
        return depthwise_correlation(
            self.search[branch](search), kernels[:, BRANCHES.index(branch)], padding
        )

    def correlate_at(self, kernels: Tensor, search: Tensor, cells: list[tuple[int, int]]) -> Tensor:
        """The answer of the mask branch at one cell (row, column) of each object, and nothing
        computed elsewhere: (K, C).
        """
        kernel = kernels[:, BRANCHES.index('mask')]
        reach = kernel.shape[3] + 2  # what the search convolution and the kernel see
        seen = torch.stack(
            [
                features[:, row : row + reach, column : column + reach]
                for features, (row, column) in zip(search, cells, strict=True)
            ]
        )
        return depthwise_correlation(self.search['mask'](seen), kernel)[:, :, 0, 0]


def _layer(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
