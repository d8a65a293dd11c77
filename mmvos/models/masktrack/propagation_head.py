"""PropagationHead: the mask of an object in a square of the frame, from features, a guide and
remembered frames.

The guide (the object's mask in the frame before) enters at every level, as in Perazzi et al. (CVPR
2017) it does at the stem. Remembered frames (the first one with its given mask, and the last) are
attended to by affinity of features, the answer of Oh et al. (RGMP, CVPR 2018; STM, ICCV 2019) to
the drift of plain propagation. A top-down path refines to stride 2.

K objects in S x S squares; G guide channels; level i has C_i channels and h_i x w_i cells, h_i = S
/ stride_i; A, V lengths of keys and values; N positions of the coarsest level.
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

from .memory import attend_memory

Memory = tuple[Tensor, Tensor]  # keys (K, A, N), values (K, V + 1, N)


NORM = dict(type='GN', num_groups=8)


def _preactivated(in_channels: int, out_channels: int) -> ConvModule:
    """Make a 3 x 3 convolution after norm and ReLU."""
    return ConvModule(
        in_channels,
        out_channels,
        3,
        padding=1,
        norm_cfg=NORM,
        order=('norm', 'act', 'conv'),
        inplace=False,
    )


class _Residual(nn.Sequential):
    """Two 3x3 convolutions, each after norm and ReLU, and a sum."""

    def __init__(self, channels: int) -> None:
        super().__init__(_preactivated(channels, channels), _preactivated(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Turn (K, C, h, w) into the same shape."""
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
        guide_channels: G; a second channel holds clicks.
        hard_ratio: share of each object's pixels, the hardest ones, that the cross entropy counts.
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
        self.laterals = nn.ModuleList()
        self.guides = nn.ModuleList()
        for level_channels, width in zip(in_channels, channels):
            self.laterals.append(ConvModule(level_channels, width, 1, norm_cfg=NORM, act_cfg=None))
        for width in channels:
            self.guides.append(nn.Conv2d(guide_channels, width, 3, padding=1, bias=False))
        self.reductions = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(channels)
        )
        # one residual block per level, two at the coarsest
        self.blocks = nn.ModuleList(nn.Sequential(_Residual(width)) for width in channels[:-1])
        self.blocks.append(nn.Sequential(_Residual(channels[-1]), _Residual(channels[-1])))
        self.predictor = _preactivated(channels[0], 1)
        self.reference = reference
        self.hard_ratio = hard_ratio
        if reference:
            width = channels[-1]
            self.key = nn.Conv2d(in_channels[-1], key_channels, 1)
            self.value = nn.Conv2d(width + 1, width, 3, padding=1)
            self.readout = nn.Conv2d(width + 1, width, 1, bias=False)

    def init_weights(self) -> None:
        """Start as torch and mmcv do, but with zeros for the guides: the first step is that of a
        net without guide.
        """
        super().init_weights()
        for guide in self.guides.parameters():
            nn.init.zeros_(guide)

    def forward(
        self,
        levels: Sequence[Tensor],
        guide: Tensor,
        memories: Sequence[Memory] = (),
        memory_weights: Tensor | None = None,
    ) -> Tensor:
        """Compute mask logits.

        Args:
            levels: L maps (K, C_i, h_i, w_i), fine to coarse.
            guide: (K, G, S, S) in [-1, 1].
            memories: M of what ``encode_memory`` gave for earlier frames; none in a first frame.
            memory_weights: (K, M), how much each frame counts; by default all the same.

        Returns:
            (K, 1, h_0, w_0) float32.
        """
        x: Tensor | None = None
        for i in reversed(range(len(levels))):
            # (K, width_i, h_i, w_i): the level and the guide at its resolution
            size = (levels[i].shape[2], levels[i].shape[3])
            level_guide = F.adaptive_avg_pool2d(guide, size)
            y = self.laterals[i](levels[i]) + self.guides[i](level_guide)
            if x is not None:
                # what the coarser level says
                coarser = self.reductions[i](x)
                y = y + F.interpolate(coarser, size=size, mode='bilinear', align_corners=False)
            elif memories:
                # at the coarsest level, what the remembered frames say
                y = y + self.readout(self._attend(levels[i], memories, memory_weights))
            x = self.blocks[i](y)
        logits: Tensor = self.predictor(x)
        return logits.float()

    def encode_memory(self, levels: Sequence[Tensor], mask: Tensor) -> Memory | None:
        """Encode a frame whose masks are known, to be remembered.

        Args:
            levels: L maps (K, C_i, h_i, w_i), of which only the coarsest is needed.
            mask: (K, 1, S, S) in [0, 1].

        Returns:
            Keys (K, A, N) and values (K, V + 1, N); None for a head without reference.
        """
        if not self.reference:
            return None
        top = levels[-1]
        # (K, 1, h, w) in [-1, 1]: the mask at the level's resolution
        coarse = F.adaptive_avg_pool2d(mask, (top.shape[2], top.shape[3]))
        presence = coarse.to(top.dtype) * 2 - 1
        # (K, V + 1, h, w): the value also holds the mask as it is
        value = self.value(torch.cat([self.laterals[-1](top), presence], dim=1))
        value = torch.cat([value, presence.to(value.dtype)], dim=1)
        return self.key(top).flatten(2), value.flatten(2)

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """Return the cross entropy and the dice loss, mean over the objects.

        Args:
            logits: (K, 1, h, w).
            targets: (K, 1, S, S) in [0, 1]; soft at edges.
            weights: (K,) of the objects; those of weight 0 do not count.

        Returns:
            ``loss_mask`` and ``loss_dice``, scalars connected to the graph.
        """
        logits = F.interpolate(logits, size=targets.shape[2:], mode='bilinear', align_corners=False)
        total = weights.sum().clamp(min=1e-6)
        # (K, S * S) -> (K,): bootstrapped cross entropy, the mean over the hardest pixels
        entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction='none').flatten(1)
        hardest = max(round(self.hard_ratio * entropy.shape[1]), 1)
        if hardest < entropy.shape[1]:
            entropy = entropy.topk(hardest, dim=1).values
        entropy = entropy.mean(dim=1)
        # (K,): dice loss, with 1 added so that empty masks have an overlap
        probabilities = logits.sigmoid()
        pixels = (1, 2, 3)
        both = probabilities.sum(dim=pixels) + targets.sum(dim=pixels)
        overlap = 2 * (probabilities * targets).sum(dim=pixels) + 1
        dice = 1 - overlap / (both + 1)
        return {
            'loss_mask': (entropy * weights).sum() / total,
            'loss_dice': (dice * weights).sum() / total,
        }

    def _attend(
        self, top: Tensor, memories: Sequence[Memory], weights: Tensor | None = None
    ) -> Tensor:
        """Read what is remembered of positions like those of the coarsest level: (K, V + 1, h, w).

        Each frame is read by itself. Were all positions read together, the last frame, which is
        nearest, would outvote the first, and its errors would stay for good.
        """
        query = self.key(top).flatten(2)
        read = torch.stack([attend_memory(query, keys, values) for keys, values in memories])
        if weights is None:
            return read.mean(dim=0).unflatten(2, top.shape[2:])
        # (M, K, 1, 1): shares that add up to 1 for each object
        shares = (weights / weights.sum(dim=1, keepdim=True)).T[:, :, None, None]
        return (read * shares.to(read.dtype)).sum(dim=0).unflatten(2, top.shape[2:])
