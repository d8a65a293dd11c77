"""The siamese network of SiamMask behind its backbone: adjust layer, correlation and heads.

Wang et al., Fast Online Object Tracking and Segmentation (SiamMask), CVPR 2019, section 3.2 and
appendix A; the correlation is that of Li et al., SiamRPN++, CVPR 2019, section 3.3. One object
passes the three parts in this order::

    AdjustLayer       backbone features -> C channels
    DepthwiseXCorr    template kernels over search features, one response map for each branch
    SiameseHead       response maps -> scores and boxes of the anchors, and masks of chosen cells

Letters for shapes: K objects (training: pairs), P cells whose mask is wanted, C channels, A = 5
anchors per cell; a x a cells of a template (7), m x m of a search window (31), n x n of a response
map (25).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.deprecation import register_old_name
from mmvos.ops.arrays import is_on_host
from mmvos.ops.device_sampling import cut_cells
from mmvos.ops.siamese_geometry import BORDER_CELLS, TEMPLATE_SIZE, WHOLE_SEARCH_CELLS
from mmvos.registry import MODELS

from .anchors import ANCHORS_PER_CELL

BRANCHES = ('score', 'box', 'mask')
# Sides of a mask in pixels: of the plain mask branch, and of the refined one.
BASE_MASK_SIZE = 63
REFINED_MASK_SIZE = TEMPLATE_SIZE


@MODELS.register_module()
class AdjustLayer(BaseModule):
    """Bring backbone features to C channels: a 1x1 convolution with batch norm, without ReLU.

    Args:
        in_channels: channels of the backbone.
        out_channels: C.
    """

    def __init__(self, in_channels: int = 1024, out_channels: int = 256) -> None:
        super().__init__()
        self.layer = ConvModule(
            in_channels,
            out_channels,
            kernel_size=1,
            norm_cfg=dict(type='BN'),
            act_cfg=None,
        )

    def forward(self, features: Tensor) -> Tensor:
        """Adjust the features of templates or search windows.

        Args:
            features: (K, in_channels, m, m).

        Returns:
            (K, C, m, m); where m < 20 without the outer 4 cells: 15 -> 7, 17 -> 9, 31 -> 31.
        """
        adjusted: Tensor = self.layer(features)

        # The outer cells of a small map have seen zeros beyond the window: they are cut off.
        if adjusted.shape[3] < WHOLE_SEARCH_CELLS:
            inner = slice(BORDER_CELLS, -BORDER_CELLS)
            adjusted = adjusted[:, :, inner, inner]
        return adjusted


@MODELS.register_module()
class DepthwiseXCorr(BaseModule):
    """Depth-wise cross-correlation of search features with a template, for each of three branches.

    Each branch has a convolution of its own for the template, which gives a kernel, and one for the
    search features, over which the kernel slides. The kernels of an object are made once, when it
    starts.

    Args:
        channels: C.
    """

    def __init__(self, channels: int = 256) -> None:
        super().__init__()

        # of each branch the convolution of the template, and that of the search features
        self.kernel = nn.ModuleDict()
        for name in BRANCHES:
            self.kernel[name] = _conv_norm_relu(channels)
        self.search = nn.ModuleDict()
        for name in BRANCHES:
            self.search[name] = _conv_norm_relu(channels)

    def encode_template(self, template: Tensor) -> Tensor:
        """Make the kernels of all branches.

        Args:
            template: (K, C, a, a) adjusted features.

        Returns:
            (K, 3, C, a - 2, a - 2), in the order of ``BRANCHES``.
        """
        kernels = [self.kernel[name](template) for name in BRANCHES]
        return torch.stack(kernels, dim=1)

    def correlate(self, kernels: Tensor, search: Tensor, branch: str, padding: int = 0) -> Tensor:
        """Compute the response map of one branch.

        Args:
            kernels: (K, 3, C, a - 2, a - 2).
            search: (K, C, m, m) adjusted features.
            branch: 'score', 'box' or 'mask'.
            padding: cells of zeros around; with 3 the response has the places of the search
                features.

        Returns:
            (K, C, n, n), n = m - a + 1 + 2 padding.
        """
        # (K, C, m, m) -> (K, C, m - 2, m - 2)
        features = self.search[branch](search)

        # (K, C, a - 2, a - 2)
        number = BRANCHES.index(branch)
        kernel = kernels[:, number]
        return depthwise_correlation(features, kernel, padding)

    def correlate_at(self, kernels: Tensor, search: Tensor, cells: Tensor) -> Tensor:
        """Compute the response of the mask branch at chosen cells, and nowhere else.

        Args:
            kernels: (K, 3, C, a - 2, a - 2).
            search: (K, C, m, m) adjusted features.
            cells: (P, 3) int64 rows (object, row, column).

        Returns:
            (P, C).
        """
        objects = cells[:, 0]
        kernel = kernels[objects, BRANCHES.index('mask')]

        # a: what the search convolution (3x3) and the kernel see together from one cell
        reach = kernel.shape[3] + 2

        # (P, C, a, a): the search features around each cell
        if is_on_host(search):
            patches = []
            for number, row, column in cells.tolist():
                rows = slice(row, row + reach)
                columns = slice(column, column + reach)
                patches.append(search[number, :, rows, columns])
            around_cells = torch.stack(patches)
        else:
            around_cells = cut_cells(search, objects, cells[:, 1:], reach)

        # (P, C, a, a) -> (P, C, a - 2, a - 2) -> (P, C, 1, 1)
        features = self.search['mask'](around_cells)
        response = depthwise_correlation(features, kernel)
        return response[:, :, 0, 0]


def depthwise_correlation(features: Tensor, kernels: Tensor, padding: int = 0) -> Tensor:
    """Slide each object's kernel over the same object's features, channel by channel.

    Args:
        features: (K, C, H, W).
        kernels: (K, C, h, w).
        padding: rows and columns of zeros around the features.

    Returns:
        (K, C, H - h + 1 + 2 padding, W - w + 1 + 2 padding); no flip, no scaling.
    """
    count, channels = kernels.shape[:2]
    assert features.shape[:2] == (count, channels), (
        f'features {tuple(features.shape)} for kernels {tuple(kernels.shape)}'
    )

    # Objects and channels become the groups of a single convolution: (1, K C, H, W) with K C
    # filters (1, h, w).
    groups = count * channels
    stacked = features.reshape(1, groups, *features.shape[2:])
    filters = kernels.reshape(groups, 1, *kernels.shape[2:])
    result = F.conv2d(stacked, filters, padding=padding, groups=groups)

    # (K, C, H', W')
    size = result.shape[2:]
    return result.view(count, channels, *size)


@MODELS.register_module()
class SiameseHead(BaseModule):
    """Score, box and mask heads; with a refining module the mask comes from that one.

    Args:
        channels: C.
        refine: config of a ``MaskRefiner``; without one masks have 63 x 63 pixels.
    """

    def __init__(self, channels: int = 256, refine: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.score = _two_convs(channels, 2 * ANCHORS_PER_CELL)
        self.box = _two_convs(channels, 4 * ANCHORS_PER_CELL)
        self.mask = _two_convs(channels, BASE_MASK_SIZE**2)
        self.refine = MODELS.build(refine) if refine else None

    def forward(self, score_response: Tensor, box_response: Tensor) -> tuple[Tensor, Tensor]:
        """Predict scores and boxes of all anchors.

        Args:
            score_response: (K, C, n, n), from the correlation's score branch.
            box_response: (K, C, n, n), from its box branch.

        Returns:
            Logits (K, 2A, n, n), first those of the background, and deltas (K, 4A, n, n).
        """
        return self.score(score_response), self.box(box_response)

    @staticmethod
    def flatten(logits: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        """Bring what ``forward`` gives into the order of ``anchors.anchor_grid``.

        Args:
            logits: (K, 2A, n, n).
            deltas: (K, 4A, n, n).

        Returns:
            Probabilities (K, A n n) that it is the object, and deltas (K, 4, A n n); float32.
        """
        count = logits.shape[0]

        # (K, 2, A n n): the softmax over background and object, of which the object's is kept
        both = logits.float().reshape(count, 2, -1)
        probabilities = both.softmax(dim=1)
        object_probabilities = probabilities[:, 1]

        # (K, 4, A n n)
        flat_deltas = deltas.float().reshape(count, 4, -1)
        return object_probabilities, flat_deltas

    def base_masks(self, responses: Tensor) -> Tensor:
        """Predict masks at single cells.

        Args:
            responses: (P, C), the mask branch's response at each cell.

        Returns:
            Logits (P, 63, 63).
        """
        hidden = self.mask[:3](responses[:, :, None, None])
        return self._base_logits(hidden)

    def base_masks_of(self, response_map: Tensor, index: Tensor) -> Tensor:
        """Predict masks at chosen cells, in training: the batch norm sees all cells.

        Args:
            response_map: (K, C, n, n), the mask branch's response.
            index: (P, 3) rows (pair, row, column).

        Returns:
            Logits (P, 63, 63).
        """
        # (K, C, n, n), all cells
        hidden = self.mask[:3](response_map)

        # (P, C), the chosen ones
        pair, row, column = index.unbind(dim=1)
        chosen = hidden[pair, :, row, column]
        return self._base_logits(chosen[:, :, None, None])

    def _base_logits(self, hidden: Tensor) -> Tensor:
        """(P, C, 1, 1) -> (P, 63, 63)."""
        return self.mask[3](hidden).reshape(-1, BASE_MASK_SIZE, BASE_MASK_SIZE)


def objectness(logits: Tensor) -> Tensor:
    """Return the probability of the best anchor of each cell.

    Args:
        logits: (K, 2A, n, n), first those of the background.

    Returns:
        (K, n, n) float32.
    """
    # (K, 2, A, n, n): the softmax over background and object
    count, _, rows, columns = logits.shape
    both = logits.float().reshape(count, 2, -1, rows, columns)
    probabilities = both.softmax(dim=1)

    # (K, n, n): the best anchor's
    object_probabilities = probabilities[:, 1]
    return object_probabilities.amax(dim=1)


@MODELS.register_module()
class MaskRefiner(BaseModule):
    """Make a mask of 127 x 127 pixels from one cell's response and backbone features around it.

    This is SiamMask's refinement module (appendix A, "sharp" in the published code): the response
    is spread to 15 x 15 cells and enlarged in three steps, in each of which finer backbone features
    are added.

    Args:
        in_channels: of the backbone features, fine to coarse.
        channels: C.
        width: factor of the published numbers of channels inside, r.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 256, 512),
        channels: int = 256,
        width: int = 1,
    ) -> None:
        super().__init__()
        fine, middle, coarse = in_channels
        r = width
        self.v0 = _conv_pair(fine, 16 * r, 4 * r)
        self.v1 = _conv_pair(middle, 64 * r, 16 * r)
        self.v2 = _conv_pair(coarse, 128 * r, 32 * r)
        self.h2 = _conv_pair(32 * r, 32 * r, 32 * r)
        self.h1 = _conv_pair(16 * r, 16 * r, 16 * r)
        self.h0 = _conv_pair(4 * r, 4 * r, 4 * r)
        self.deconv = nn.ConvTranspose2d(channels, 32 * r, 15, stride=15)
        self.post0 = nn.Conv2d(32 * r, 16 * r, 3, padding=1)
        self.post1 = nn.Conv2d(16 * r, 4 * r, 3, padding=1)
        self.post2 = nn.Conv2d(4 * r, 1, 3, padding=1)

    def init_weights(self) -> None:
        """Draw the convolutions' weights as He et al. do, uniformly with gain 1.

        Biases and the deconvolution stay as torch makes them.
        """
        super().init_weights()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, a=1)

    def forward(self, responses: Tensor, patches: Sequence[Tensor]) -> Tensor:
        """Refine masks.

        Args:
            responses: (P, C), the mask branch's response at single cells.
            patches: backbone features around the cells, fine to coarse: (P, 64, 61, 61),
                (P, 256, 31, 31), (P, 512, 15, 15).

        Returns:
            Logits (P, 127, 127).
        """
        fine, middle, coarse = patches

        # (P, C) -> (P, 32 r, 15, 15)
        x = self._spread(responses)

        # enlarged by repetition: (P, 32 r, 15, 15) -> (P, 16 r, 31, 31)
        x = self.h2(x) + self.v2(coarse)
        x = F.interpolate(x, size=(31, 31))
        x = self.post0(x)

        # (P, 16 r, 31, 31) -> (P, 4 r, 61, 61)
        x = self.h1(x) + self.v1(middle)
        x = F.interpolate(x, size=(61, 61))
        x = self.post1(x)

        # (P, 4 r, 61, 61) -> (P, 1, 127, 127)
        x = self.h0(x) + self.v0(fine)
        x = F.interpolate(x, size=(REFINED_MASK_SIZE, REFINED_MASK_SIZE))
        x = self.post2(x)
        return x[:, 0]

    def _spread(self, responses: Tensor) -> Tensor:
        """(P, C) -> (P, 32 r, 15, 15): the deconvolution of single cells is a matrix product."""
        # (C, 32 r, 15, 15) -> (C, 15 * 15 * 32 r); no copy in channels-last order
        weight = self.deconv.weight
        matrix = weight.permute(0, 2, 3, 1).flatten(1)

        # (P, C) -> (P, 15 * 15 * 32 r) -> (P, 15, 15, 32 r)
        cells = responses @ matrix
        size = weight.shape[2:]
        cells = cells.unflatten(1, (*size, -1))
        cells = cells + self.deconv.bias
        return cells.permute(0, 3, 1, 2)


def _conv_norm_relu(channels: int) -> nn.Sequential:
    """A 3x3 convolution without padding: the map loses one cell at each side."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _two_convs(channels: int, out_channels: int) -> nn.Sequential:
    """The head of one branch: two 1x1 convolutions."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, out_channels, 1),
    )


def _conv_pair(channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions of the refinement module."""
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
    )


register_old_name(MODELS, 'SiameseAdjust', AdjustLayer)
register_old_name(MODELS, 'SiameseCorrelation', DepthwiseXCorr)
