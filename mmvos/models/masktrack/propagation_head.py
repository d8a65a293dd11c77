"""PropagationHead: the mask of an object in a square of the frame, from features, a guide and
remembered frames.

The guide (the object's mask in the frame before) enters at every level, as in Perazzi et al. (CVPR
2017) it does at the stem. Remembered frames (the first one with its given mask, and the last) are
attended to by affinity of features, the answer of Oh et al. (RGMP, CVPR 2018; STM, ICCV 2019) to
the drift of plain propagation, with the affinity by distance of Cheng et al. (STCN, NeurIPS 2021,
section 3.2). A top-down path refines to stride 2.

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

from mmvos.deprecation import accept_old_options
from mmvos.option_ranges import COUNT, Range, options_in
from mmvos.registry import MODELS

Memory = tuple[Tensor, Tensor]  # keys (K, A, N), values (K, V + 1, N)


KEY_CHANNELS = 64  # A: the length of what remembered and current positions are compared by
LARGEST_DROP = 60.0  # of a score below the highest; e^-60 is nothing beside 1
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
@accept_old_options(removed=('key_channels',))
@options_in(COUNT, 'in_channels', 'channels', 'guide_channels')
@options_in(Range(0, 1, has_low=False), 'hard_ratio')
class PropagationHead(BaseModule):
    """Mask logits of one object per square.

    Args:
        in_channels: C_i of the levels, fine to coarse.
        channels: width of the head at each level.
        reference: whether remembered frames are read; without, the head is MaskTrack's plain
            propagation.
        guide_channels: G; a second channel holds clicks.
        hard_ratio: share of each object's pixels, the hardest ones, that the cross entropy counts.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 256, 512, 1024),
        channels: Sequence[int] = (32, 64, 128, 224),
        reference: bool = True,
        guide_channels: int = 1,
        hard_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        if len(in_channels) != len(channels):
            raise ValueError(
                f'PropagationHead: {len(in_channels)} in_channels and {len(channels)} channels do '
                f'not belong together'
            )
        # of each level the backbone's features, and the guide
        self.laterals = nn.ModuleList()
        for level_channels, width in zip(in_channels, channels):
            lateral = ConvModule(level_channels, width, 1, norm_cfg=NORM, act_cfg=None)
            self.laterals.append(lateral)
        self.guides = nn.ModuleList()
        for width in channels:
            guide = nn.Conv2d(guide_channels, width, 3, padding=1, bias=False)
            self.guides.append(guide)

        # from each level to the next finer one
        self.reductions = nn.ModuleList()
        for fine, coarse in pairwise(channels):
            self.reductions.append(nn.Conv2d(coarse, fine, 1))

        # one residual block per level, two at the coarsest
        self.blocks = nn.ModuleList()
        for width in channels[:-1]:
            self.blocks.append(nn.Sequential(_Residual(width)))
        coarsest = channels[-1]
        self.blocks.append(nn.Sequential(_Residual(coarsest), _Residual(coarsest)))
        self.predictor = _preactivated(channels[0], 1)

        # keys and values of the memory, and what is read of it
        self.reference = reference
        self.hard_ratio = hard_ratio
        if reference:
            self.key = nn.Conv2d(in_channels[-1], KEY_CHANNELS, 1)
            self.value = nn.Conv2d(coarsest + 1, coarsest, 3, padding=1)
            self.readout = nn.Conv2d(coarsest + 1, coarsest, 1, bias=False)

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
        read = self._attend(levels[-1], memories, memory_weights) if memories else None
        return self.decode(levels, guide, read)

    def decode(self, levels: Sequence[Tensor], guide: Tensor, read: Tensor | None) -> Tensor:
        """Compute mask logits from what was read of remembered frames.

        Args:
            levels, guide: see ``forward``.
            read: (K, V + 1, h, w) of ``read_memories``; None in a first frame.

        Returns:
            (K, 1, h_0, w_0) float32.
        """
        x: Tensor | None = None
        for i in reversed(range(len(levels))):
            # (K, width_i, h_i, w_i): the level and the guide at its resolution
            level = levels[i]
            size = (level.shape[2], level.shape[3])
            level_guide = shrink(guide, size)
            y = self.laterals[i](level) + self.guides[i](level_guide)
            if x is not None:
                # what the coarser level says
                coarser = self.reductions[i](x)
                y = y + F.interpolate(coarser, size=size, mode='bilinear', align_corners=False)
            elif read is not None:
                # at the coarsest level, what the remembered frames say
                y = y + self.readout(read)
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
        _, _, height, width = top.shape
        # (K, 1, h, w) in [-1, 1]: the mask at the level's resolution
        coarse = shrink(mask, (height, width))
        presence = coarse.to(top.dtype) * 2 - 1

        # (K, V, h, w): the value is made from features and mask
        lateral = self.laterals[-1](top)
        value = self.value(torch.cat([lateral, presence], dim=1))
        # (K, V + 1, h, w): it also holds the mask as it is
        value = torch.cat([value, presence.to(value.dtype)], dim=1)

        # (K, A, N) and (K, V + 1, N)
        key = self.key(top)
        return key.flatten(2), value.flatten(2)

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
        entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
        entropy = entropy.flatten(1)
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
        keys = torch.stack([keys for keys, _ in memories], dim=1)
        values = torch.stack([values for _, values in memories], dim=1)
        if weights is None:
            weights = torch.ones(keys.shape[:2], device=keys.device)
        # (K, M): shares that add up to 1 for each object
        shares = weights / weights.sum(dim=1, keepdim=True)
        return self.read_memories(top, keys, values, shares)

    def read_memories(self, top: Tensor, keys: Tensor, values: Tensor, shares: Tensor) -> Tensor:
        """Read each of M remembered frames, and add up what they say.

        Args:
            top: (K, C, h, w), the coarsest level.
            keys: (K, M, A, N).
            values: (K, M, V + 1, N).
            shares: (K, M), the weights of the frames.

        Returns:
            (K, V + 1, h, w).
        """
        # (K, 1, A, h * w): the query is the same for all of an object's frames
        query = self.key(top).flatten(2)[:, None]
        read = attend_memory(query, keys, values)
        weighted = read * shares[:, :, None, None].to(read.dtype)
        return weighted.sum(dim=1).unflatten(2, top.shape[2:])


def shrink(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Take the means of cells: (K, C, H, W) -> (K, C, *size), where H and W are multiples of it.

    A graph of any size can be made of it, other than of ``adaptive_avg_pool2d``.
    """
    height, width = size
    cell = (maps.shape[2] // height, maps.shape[3] // width)
    return F.avg_pool2d(maps, cell)


def attend_memory(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Average the values, each weighted by how near its key is to the query's.

    Args:
        query: (..., A, n), of n positions.
        keys: (..., A, N), of N remembered ones.
        values: (..., V, N).

    Returns:
        (..., V, n).
    """
    # (..., N, n): -|k - q|^2 without |q|^2, which the softmax over the keys does not see
    products = keys.transpose(-1, -2) @ query
    squared = keys.square().sum(dim=-2)
    affinity = 2 * products - squared[..., None]

    # the softmax over the remembered positions, in float32 whatever autocast says
    temperature = keys.shape[-2] ** 0.5
    scores = affinity.float() / temperature
    # Weights that are much smaller would be denormal numbers, in which CPUs are very slow.
    peak = scores.amax(dim=-2, keepdim=True)
    scores = scores.maximum(peak - LARGEST_DROP)
    weights = scores.softmax(dim=-2)
    attended: Tensor = values @ weights.to(values.dtype)
    return attended
