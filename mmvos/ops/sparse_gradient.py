"""A 3 x 3 convolution whose gradient is computed at the cells that have one.

A loss of some sampled cells, as an RPN's is, has a gradient of zero at all others, and the backward
pass of a convolution, twice the work of the forward pass, multiplies these zeros. Here the cells
with a gradient are gathered, with what the convolution saw around them.

B images, C channels in, K channels out, h x w cells, n cells with a gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# Where more of the cells have a gradient, all are computed.
MAX_SHARE = 0.25


def can_convolve(layer: object, x: Tensor) -> bool:
    """Say whether ``convolve`` can take the place of a layer, and may gain something.

    A GPU would be asked how many cells have a gradient.

    Args:
        layer: of a model.
        x: its input.
    """
    if not isinstance(layer, nn.Conv2d) or not torch.is_grad_enabled():
        return False
    shape = (layer.kernel_size, layer.padding, layer.stride, layer.dilation)
    is_plain = shape == ((3, 3), (1, 1), (1, 1), (1, 1)) and layer.padding_mode == 'zeros'
    return is_plain and layer.groups == 1 and x.device.type == 'cpu'


def convolve(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Compute ``layer(x)``, (B, C, h, w) -> (B, K, h, w), for which ``can_convolve`` holds.

    The gradient is that of the layer up to rounding; it cannot be differentiated again.
    """
    weight = layer.weight
    bias = layer.bias
    # Autocast does not look into a function of its own.
    if torch.is_autocast_enabled('cpu'):
        dtype = torch.get_autocast_dtype('cpu')
        x = x.to(dtype)
        weight = weight.to(dtype)
        bias = bias if bias is None else bias.to(dtype)
    apply: Any = _Convolution.apply
    result: Tensor = apply(x, weight, bias)
    return result


class _Convolution(torch.autograd.Function):
    """See ``convolve``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve in the ordinary way."""
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of input, weight and bias."""
        x, weight = ctx.saved_tensors
        # (B, h, w); what is not a number is not zero either, and goes on
        has_gradient = (gradient != 0).any(dim=1)
        cells = has_gradient.nonzero()
        if len(cells) > MAX_SHARE * has_gradient.numel():
            return _everywhere(ctx, x, weight, gradient)

        # (n, K), and (n, 9, C): what the convolution saw, zero outside of the map
        here = gradient[cells[:, 0], :, cells[:, 1], cells[:, 2]]
        flat, index, is_inside = _neighbors(x, cells)
        seen = flat[index] * is_inside[..., None]

        # (K, 9, C): the weight, neighbor by neighbor
        kernel = weight.permute(0, 2, 3, 1).flatten(1, 2)
        for_weight = None
        if ctx.needs_input_grad[1]:
            products = here.T @ seen.flatten(1)
            for_weight = products.view(len(weight), 3, 3, -1).permute(0, 3, 1, 2)
        for_x = None
        if ctx.needs_input_grad[0]:
            products = (here @ kernel.flatten(1)).view_as(seen) * is_inside[..., None]
            added = torch.zeros_like(flat).index_add_(0, index.flatten(), products.flatten(0, 1))
            batch, _, height, width = x.shape
            for_x = added.view(batch, height, width, -1).permute(0, 3, 1, 2)
        for_bias = here.sum(dim=0) if ctx.has_bias else None
        return for_x, for_weight, for_bias


def _everywhere(
    ctx: Any, x: Tensor, weight: Tensor, gradient: Tensor
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients in the ordinary way."""
    # of input, weight and bias
    of_input, of_weight, *_ = ctx.needs_input_grad
    wanted = [of_input, of_weight, ctx.has_bias]
    biases = None
    if ctx.has_bias:
        biases = [len(weight)]

    # stride, padding, dilation; not transposed; output padding, groups
    geometry = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    backward = torch.ops.aten.convolution_backward
    found: tuple[Tensor | None, Tensor | None, Tensor | None] = backward(
        gradient, x, weight, biases, *geometry, wanted
    )
    return found


def _neighbors(x: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the 3 x 3 cells around some.

    Args:
        x: (B, C, h, w).
        cells: (n, 3), image, row and column.

    Returns:
        The cells of all images (B h w, C); the places of the neighbors in it (n, 9), row by row;
        and which of these (n, 9) lie inside, 1 or 0. Places of others are some of the map.
    """
    height, width = x.shape[2:]
    offsets = torch.arange(-1, 2)
    image = cells[:, 0, None, None]
    # (n, 3, 3): rows and columns, which may lie outside
    rows = cells[:, 1, None, None] + offsets[:, None]
    columns = cells[:, 2, None, None] + offsets
    near_rows = rows.clamp(0, height - 1)
    near_columns = columns.clamp(0, width - 1)
    is_inside = (rows == near_rows) & (columns == near_columns)

    # in the cells of all images
    index = (image * height + near_rows) * width + near_columns
    flat = x.permute(0, 2, 3, 1).flatten(0, 2)
    return flat, index.flatten(1), is_inside.flatten(1).to(x.dtype)
