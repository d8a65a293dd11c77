"""PropagationHead: the mask of an object in a square of the frame, from features, a guide and
remembered frames.

The guide (the object's mask in the frame before) enters at every level, as in Perazzi et al. (CVPR
2017) it does at the stem; remembered frames (the first one with its given mask, and the last) are
read by likeness of features, the answer of Oh et al. (RGMP, CVPR 2018; STM, ICCV 2019) to the drift
of plain propagation; a top-down path refines to stride 2. K objects in S x S squares; level i has
C_i channels and S / stride_i cells a side; A, V lengths of keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmvos.registry import MODELS

from .memory import read_memory

Memory = tuple[Tensor, Tensor]  # keys (K, A, N), values (K, V, N) of N positions


class _Residual(nn.Sequential):
    """Two 3x3 convolutions, each after norm and rectifier, and a sum."""

    def __init__(self, channels: int) -> None:
        settings = dict(
            padding=1,
            norm_cfg=dict(type='GN', num_groups=8),
            order=('norm', 'act', 'conv'),
            inplace=False,
        )
        super().__init__(*(ConvModule(channels, channels, 3, **settings) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        """(K, C, h, w) -> the same shape."""
        return x + super().forward(x)


@MODELS.register_module()
class PropagationHead(BaseModule):
    """Mask logits of one object per square.

    Args:
        in_channels: C_i of the levels, fine to coarse.
        channels: width of the head at each level.
        key_channels: A; the length of what remembered and current positions are compared by.
        reference: whether remembered frames are read; without, the head is MaskTrack's plain
            propagation.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 256, 512, 1024),
        channels: Sequence[int] = (32, 64, 128, 224),
        key_channels: int = 64,
        reference: bool = True,
        guide_channels: int = 1,
        hard_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        assert len(in_channels) == len(channels)
        self.laterals = nn.ModuleList(
            ConvModule(c_in, c, 1, norm_cfg=dict(type='GN', num_groups=8), act_cfg=None)
            for c_in, c in zip(in_channels, channels)
        )
        self.guides = nn.ModuleList(
            nn.Conv2d(guide_channels, c, 3, padding=1, bias=False) for c in channels
        )
        self.reductions = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(channels)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(*(_Residual(c) for _ in range(count)))
            for c, count in zip(channels, [1] * (len(channels) - 1) + [2])
        )
        self.predictor = ConvModule(
            channels[0],
            1,
            3,
            padding=1,
            norm_cfg=dict(type='GN', num_groups=8),
            order=('norm', 'act', 'conv'),
            inplace=False,
        )
        self.reference = reference
        self.hard_ratio = hard_ratio
        if reference:
            width = channels[-1]
            self.key = nn.Conv2d(in_channels[-1], key_channels, 1)
            self.value = nn.Conv2d(width + 1, width, 3, padding=1)
            self.readout = nn.Conv2d(width + 1, width, 1, bias=False)

    def init_weights(self) -> None:
        """As torch and mmcv do, but guides start at zero: the first step is that of a net without
        guide.
        """
        super().init_weights()
        for guide in self.guides.parameters():
            nn.init.zeros_(guide)

    def forward(
        self, levels: Sequence[Tensor], guide: Tensor, memories: Sequence[Memory] = ()
    ) -> Tensor:
        """Mask logits.

        Args:
            levels: L maps (K, C_i, h_i, w_i), fine to coarse.
            guide: (K, 1, S, S) in [-1, 1].
            memories: what ``remember`` gave for earlier frames; none in a first frame.

        Returns:
            (K, 1, h_0, w_0) float32.
        """
        x: Tensor | None = None
        for i in reversed(range(len(levels))):
            size = (levels[i].shape[2], levels[i].shape[3])
            y = self.laterals[i](levels[i]) + self.guides[i](F.adaptive_avg_pool2d(guide, size))
            if x is None:
                y = y + self.readout(self._read(levels[i], memories)) if memories else y
            else:
                y = y + F.interpolate(
                    self.reductions[i](x), size=size, mode='bilinear', align_corners=False
                )
            x = self.blocks[i](y)
        logits: Tensor = self.predictor(x)
        return logits.float()

    def remember(self, levels: Sequence[Tensor], mask: Tensor) -> Memory | None:
        """Keys and values of a frame whose mask (K, 1, S, S) in [0, 1] is known; None for a head
        without reference.
        """
        if not self.reference:
            return None
        top = levels[-1]
        presence = F.adaptive_avg_pool2d(mask, (top.shape[2], top.shape[3])).to(top.dtype) * 2 - 1
        value = self.value(torch.cat([self.laterals[-1](top), presence], dim=1))
        return self.key(top).flatten(2), torch.cat(
            [value, presence.to(value.dtype)], dim=1
        ).flatten(2)

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """Cross entropy and dice loss, mean over the objects.

        Args:
            logits: (K, 1, h, w).
            targets: (K, 1, S, S) in [0, 1]; soft at edges.
            weights: (K,) of the objects; those of weight 0 do not count.

        Returns:
            ``loss_mask`` and ``loss_dice``, scalars connected to the graph.
        """
        logits = F.interpolate(logits, size=targets.shape[2:], mode='bilinear', align_corners=False)
        total = weights.sum().clamp(min=1e-6)
        entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction='none').flatten(1)
        # Bootstrapped cross entropy: the mean over the hardest pixels of each object.
        hardest = max(round(self.hard_ratio * entropy.shape[1]), 1)
        if hardest < entropy.shape[1]:
            entropy = entropy.topk(hardest, dim=1).values
        entropy = entropy.mean(dim=1)
        p = logits.sigmoid()
        overlap = 2 * (p * targets).sum(dim=(1, 2, 3)) + 1
        dice = 1 - overlap / (p.sum(dim=(1, 2, 3)) + targets.sum(dim=(1, 2, 3)) + 1)
        return {
            'loss_mask': (entropy * weights).sum() / total,
            'loss_dice': (dice * weights).sum() / total,
        }

    def _read(self, top: Tensor, memories: Sequence[Memory]) -> Tensor:
        """What is remembered of positions like those of the coarsest level: (K, V + 1, h, w).

        Each frame has an equal say. Were all positions read together, the last frame, which is
        nearest, would outvote the first, and its errors would stay for good.
        """
        query = self.key(top).flatten(2)
        read = torch.stack([read_memory(query, keys, values) for keys, values in memories]).mean(
            dim=0
        )
        return read.unflatten(2, top.shape[2:])
