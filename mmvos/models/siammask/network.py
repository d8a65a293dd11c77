"""SiameseHead: scores and boxes of anchors, and masks, from the correlation of search and template.

Wang et al., Fast Online Object Tracking and Segmentation (SiamMask), CVPR 2019, section 3.2 and
appendix A. B search images, n x n cells of 8 pixels, A = 5 anchors, P cells whose mask is wanted, C
channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from .anchors import COUNT
from mmvos.registry import MODELS

BASE_SIZE, REFINED_SIZE = 63, 127


@MODELS.register_module()
class SiameseHead(BaseModule):
    """Score, box and mask heads; with a refining module the mask comes from that one.

    Args:
        channels: C.
        refine: config of a ``MaskRefiner``; without one masks have 63 x 63 pixels.
    """

    def __init__(self, channels: int = 256, refine: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.score = _tower(channels, 2 * COUNT)
        self.box = _tower(channels, 4 * COUNT)
        self.mask = _tower(channels, BASE_SIZE**2)
        self.refine = MODELS.build(refine) if refine else None

    def forward(self, score_map: Tensor, box_map: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, 2A, n, n), first of the background, and deltas (B, 4A, n, n), from
        correlations (B, C, n, n).
        """
        return self.score(score_map), self.box(box_map)

    @staticmethod
    def flatten(logits: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities that it is the object (B, A n n), and deltas (B, 4, A n n), float32, in the
        order of anchors.
        """
        size = len(logits)
        probabilities = logits.float().reshape(size, 2, -1).softmax(dim=1)[:, 1]
        return probabilities, deltas.float().reshape(size, 4, -1)

    def base_masks(self, features: Tensor) -> Tensor:
        """Logits (P, 63, 63) from the mask branch at single cells, (P, C)."""
        return self._base(self.mask[:3](features[:, :, None, None]))

    def base_masks_of(self, mask_map: Tensor, index: Tensor) -> Tensor:
        """Logits (P, 63, 63) of chosen cells, for training: the batch norm sees all cells.

        Args:
            mask_map: (B, C, n, n), the mask branch at all cells.
            index: (P, 3) rows (image, row, column).
        """
        image, row, column = index.unbind(dim=1)
        return self._base(self.mask[:3](mask_map)[image, :, row, column][:, :, None, None])

    def _base(self, hidden: Tensor) -> Tensor:
        return self.mask[3](hidden).reshape(-1, BASE_SIZE, BASE_SIZE)


@MODELS.register_module()
class MaskRefiner(BaseModule):
    """Makes a mask of 127 x 127 pixels from the correlation at a cell and backbone features around
    it.

    Args:
        in_channels: of the backbone's features, fine to coarse.
        channels: C.
    """

    def __init__(self, in_channels: Sequence[int] = (64, 256, 512), channels: int = 256) -> None:
        super().__init__()
        fine, middle, coarse = in_channels
        self.v0, self.v1, self.v2 = (
            _pair(fine, 16, 4),
            _pair(middle, 64, 16),
            _pair(coarse, 128, 32),
        )
        self.h2, self.h1, self.h0 = _pair(32, 32, 32), _pair(16, 16, 16), _pair(4, 4, 4)
        self.deconv = nn.ConvTranspose2d(channels, 32, 15, stride=15)
        self.post0, self.post1, self.post2 = (
            nn.Conv2d(i, o, 3, padding=1) for i, o in ((32, 16), (16, 4), (4, 1))
        )

    def init_weights(self) -> None:
        """He et al.'s uniform weights with gain 1 for convolutions; biases and the deconvolution
        stay as torch makes them.
        """
        super().init_weights()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, a=1)

    def forward(self, features: Tensor, patches: Sequence[Tensor]) -> Tensor:
        """Logits (P, 127, 127).

        Args:
            features: (P, C), the mask branch at single cells.
            patches: (P, 64, 61, 61), (P, 256, 31, 31), (P, 512, 15, 15).
        """
        fine, middle, coarse = patches
        x = self._spread(features)
        x = self.post0(F.interpolate(self.h2(x) + self.v2(coarse), size=(31, 31)))
        x = self.post1(F.interpolate(self.h1(x) + self.v1(middle), size=(61, 61)))
        x = self.post2(F.interpolate(self.h0(x) + self.v0(fine), size=(REFINED_SIZE, REFINED_SIZE)))
        return x[:, 0]

    def _spread(self, features: Tensor) -> Tensor:
        """(P, C) -> (P, 32, 15, 15): the deconvolution of single cells, which is a matrix
        product.
        """
        weight, bias = self.deconv.weight, self.deconv.bias
        # (P, 15 * 15 * 32); no copy in channels-last order
        cells = features @ weight.permute(0, 2, 3, 1).flatten(1)
        return (cells.unflatten(1, (*weight.shape[2:], -1)) + bias).permute(0, 3, 1, 2)


def _tower(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, out_channels, 1),
    )


def _pair(channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
    )
