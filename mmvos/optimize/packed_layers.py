"""PackedConv2d: a convolution for inference on CPUs, with its weight in oneDNN's own memory order.

torch brings a weight into that order at every call, which for small feature maps takes longer than
the arithmetic, and goes over the output once more for each ReLU and each sum. The operators used
here, those of torch's inductor, do neither. Where a torch lacks them, ``can_pack`` says so.

B images, C channels in, K channels out, H x W cells in, H' x W' cells out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

import torch
from mmcv.cnn.bricks import wrappers as mmcv_wrappers
from torch import Tensor, nn


def can_pack(layer: object) -> TypeGuard[nn.Conv2d]:
    """Say whether ``PackedConv2d`` can replace a layer.

    It can replace an ordinary convolution on a CPU with oneDNN, in float32 or bfloat16. A child
    class may pad in a way of its own.
    """
    return (
        isinstance(layer, nn.Conv2d)
        and type(layer) in (nn.Conv2d, mmcv_wrappers.Conv2d)
        and layer.padding_mode == 'zeros'
        and not isinstance(layer.padding, str)
        and layer.weight.device.type == 'cpu'
        and _has_operators(layer.weight.dtype)
    )


def _has_operators(dtype: torch.dtype) -> bool:
    """Say whether torch has the operators, and the CPU arithmetic of ``dtype``."""
    has_operators = (
        torch._C._has_mkldnn
        and hasattr(torch.ops.mkldnn, '_convolution_pointwise')
        and hasattr(torch._C._nn, 'mkldnn_reorder_conv2d_weight')
    )
    if not has_operators:
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # needs AVX-512
    return dtype == torch.float32


class PackedConv2d(nn.Module):
    """A convolution that computes ``relu(conv(x) + residual)``; for inference only.

    The best memory order of a weight depends on the input's size. It is chosen at the first call,
    and anew for every size that comes twice in a row. So the order follows the frames of a video,
    and is kept when a template of another size comes in between. Other sizes give the same
    numbers, but torch may reorder the weight for them at each call.

    Args:
        layer: the convolution, for which ``can_pack`` holds; its weight is copied.
        relu: whether a ReLU follows.
    """

    bias: Tensor

    def __init__(self, layer: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        assert can_pack(layer)
        self.relu = relu
        self.padding = list(map(int, layer.padding))
        self.stride = list(layer.stride)
        self.dilation = list(layer.dilation)
        self.groups = layer.groups
        self.shape = tuple(layer.weight.shape)
        bias = layer.bias
        if bias is None:
            bias = layer.weight.new_zeros(layer.out_channels)
        self.register_buffer('bias', bias.detach(), persistent=False)
        self._weight = layer.weight.detach()
        self._packed_for: torch.Size | None = None
        self._last_size: torch.Size | None = None

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Convolve (B, C, H, W) to (B, K, H', W'), in the weight's type.

        Args:
            x: (B, C, H, W).
            residual: what is added before the ReLU, of the result's shape.
        """
        x = self._prepare(x)
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        operator = torch.ops.mkldnn._convolution_pointwise
        result: Tensor
        if residual is None:
            activation = 'relu' if self.relu else 'none'
            result = operator(x, self._weight, self.bias, *geometry, activation, [], '')
        else:
            fused = 'relu' if self.relu else None
            result = operator.binary(
                x, residual, self._weight, self.bias, *geometry, 'add', 1.0, fused, [], ''
            )
        return result

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """Convolve and write ``relu(conv(x) + residual)`` over the residual, which is returned.

        Args:
            residual: of the result's shape and type, channels-last.
            x: (B, C, H, W).
        """
        x = self._prepare(x)
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        fused = 'relu' if self.relu else None
        operator = torch.ops.mkldnn._convolution_pointwise_.binary
        result: Tensor = operator(
            residual, x, self._weight, self.bias, *geometry, 'add', 1.0, fused, [], ''
        )
        return result

    def _prepare(self, x: Tensor) -> Tensor:
        """Bring an input into the weight's type, and the weight into the order for its size."""
        x = x.to(self.bias.dtype)

        # Choose the memory order at the first call, and for a size that comes twice in a row.
        comes_again = x.shape == self._last_size
        if self._packed_for is None or (comes_again and x.shape != self._packed_for):
            self._pack(x.shape)
        self._last_size = x.shape
        return x

    @property
    def weight(self) -> Tensor:
        """The weight (K, C / groups, h, w) in the ordinary memory order."""
        if self._weight.is_mkldnn:
            return self._weight.to_dense()
        return self._weight

    def _pack(self, size: torch.Size) -> None:
        """Bring the weight into the best memory order for inputs of a size."""
        reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
        plain = self.weight.contiguous(memory_format=torch.channels_last).to_mkldnn()
        self._weight = reorder(
            plain, self.padding, self.stride, self.dilation, self.groups, list(size)
        )
        self._packed_for = size


def pack_convolutions(module: nn.Module) -> None:
    """Replace, in place, the convolutions inside a module whose batch norms are folded.

    A ReLU that follows a convolution in an ``nn.Sequential`` becomes part of it.
    """
    for parent in list(module.modules()):
        # Identities are what is left of folded batch norms.
        children = [
            (name, child)
            for name, child in parent.named_children()
            if not isinstance(child, nn.Identity)
        ]
        for position, (name, child) in enumerate(children):
            if not can_pack(child):
                continue
            relu_name = None
            if isinstance(parent, nn.Sequential) and position + 1 < len(children):
                next_name, next_child = children[position + 1]
                if isinstance(next_child, nn.ReLU):
                    relu_name = next_name
            setattr(parent, name, PackedConv2d(child, relu=relu_name is not None))
            if relu_name is not None:
                setattr(parent, relu_name, nn.Identity())
