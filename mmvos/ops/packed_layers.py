"""Convolutions for inference on CPUs: weights kept in oneDNN's own order, rectifier and residual sum done inside the convolution.

torch brings the weights into that order at every call, which for small feature maps takes longer than the arithmetic,
and goes over its output once more for each rectifier and sum. The operators are those that torch's inductor uses; where a torch
does not have them, ``can_pack`` says so. B images, C channels in, K channels out.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

import torch
from torch import Tensor, nn


def can_pack(layer: object) -> TypeGuard[nn.Conv2d]:
    """Whether ``PackedConv2d`` can stand for a layer: an ordinary convolution on a CPU with oneDNN, in float32 or bfloat16."""
    return (isinstance(layer, nn.Conv2d) and layer.padding_mode == 'zeros' and not isinstance(layer.padding, str)
            and layer.weight.device.type == 'cpu' and _has_operators(layer.weight.dtype))


def _has_operators(dtype: torch.dtype) -> bool:
    """Whether this torch has the operators, and this CPU arithmetic of the type (bfloat16 needs AVX-512)."""
    if not (torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, '_convolution_pointwise')
            and hasattr(torch._C._nn, 'mkldnn_reorder_conv2d_weight')):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


class PackedConv2d(nn.Module):
    """A convolution that computes ``relu(conv(x) + residual)``, sum and rectifier being optional; for inference only.

    The best order of a weight depends on the input's size. It is chosen at the first call, and anew for every size that comes twice
    in a row; at other sizes the numbers are the same, but torch may reorder the weight at each call, which can take longer than
    the convolution. So the order follows the frames of a video, and a template now and then does not upset it.

    Args:
        layer: the convolution; ``can_pack(layer)`` holds. Its weight is copied.
        relu: whether a rectifier follows.
    """

    bias: Tensor

    def __init__(self, layer: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        assert can_pack(layer)
        self.relu = relu
        self._geometry = list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups
        bias = layer.bias if layer.bias is not None else layer.weight.new_zeros(layer.out_channels)
        self.register_buffer('bias', bias.detach(), persistent=False)
        self._weight = layer.weight.detach()
        self._packed_for: torch.Size | None = None  # the input's size
        self._last: torch.Size | None = None

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (B, K, H', W') in the weight's type; ``residual`` has the shape of the result."""
        x = x.to(self.bias.dtype)
        if self._packed_for is None or self._packed_for != x.shape == self._last:
            self._pack(x.shape)
        self._last = x.shape
        operator = torch.ops.mkldnn._convolution_pointwise
        if residual is None:
            result: Tensor = operator(x, self._weight, self.bias, *self._geometry, 'relu' if self.relu else 'none', [], '')
        else:
            unary = 'relu' if self.relu else None
            result = operator.binary(x, residual, self._weight, self.bias, *self._geometry, 'add', 1.0, unary, [], '')
        return result

    def _pack(self, size: torch.Size) -> None:
        """Brings the weight into the best order for inputs of a size."""
        weight = self._weight.to_dense() if self._weight.is_mkldnn else self._weight
        reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
        self._weight = reorder(weight.contiguous(memory_format=torch.channels_last).to_mkldnn(), *self._geometry, list(size))
        self._packed_for = size


def pack_convolutions(module: nn.Module) -> None:
    """Replaces, in place, the convolutions inside a module whose batch norms are folded, with the rectifiers after them."""
    for parent in list(module.modules()):
        layers = [(name, child) for name, child in parent.named_children() if not isinstance(child, nn.Identity)]
        for (name, layer), (next_name, next_layer) in zip(layers, [*layers[1:], ('', None)]):
            if can_pack(layer):
                relu = isinstance(parent, nn.Sequential) and isinstance(next_layer, nn.ReLU)
                setattr(parent, name, PackedConv2d(layer, relu))
                if relu:
                    setattr(parent, next_name, nn.Identity())
