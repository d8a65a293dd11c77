"""Convolutions for inference on CPUs: weights kept in oneDNN's own order, rectifier and residual
sum done inside the convolution.

torch brings the weights into that order at every call, which for small feature maps takes longer
than the arithmetic, and goes over its output once more for each rectifier and sum. The operators
are those that torch's inductor uses; where a torch does not have them, ``can_pack`` says so. Wide 3
x 3 convolutions need a quarter of the multiplications by Winograd's algorithm (Lavin and Gray, Fast
Algorithms for Convolutional Neural Networks, CVPR 2016). B images, C channels in, K channels out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_OUT, _IN = 4, 6  # cells of a tile in a row, of the answer and of what it needs
# with these the error is about twice that of an ordinary convolution
_POINTS = (0.0, 0.625, -0.625, 1.5, -1.5)
_WIDE, _MANY = 192, 100  # channels and cells from which on tiles are faster


def can_pack(layer: object) -> TypeGuard[nn.Conv2d]:
    """Whether ``PackedConv2d`` can stand for a layer: an ordinary convolution on a CPU with oneDNN,
    in float32 or bfloat16.
    """
    return (
        isinstance(layer, nn.Conv2d)
        and layer.padding_mode == 'zeros'
        and not isinstance(layer.padding, str)
        and layer.weight.device.type == 'cpu'
        and _has_operators(layer.weight.dtype)
    )


def _has_operators(dtype: torch.dtype) -> bool:
    """Whether this torch has the operators, and this CPU arithmetic of the type (bfloat16 needs
    AVX-512).
    """
    if not (
        torch._C._has_mkldnn
        and hasattr(torch.ops.mkldnn, '_convolution_pointwise')
        and hasattr(torch._C._nn, 'mkldnn_reorder_conv2d_weight')
    ):
        return False
    return dtype == torch.float32 or (
        dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


class PackedConv2d(nn.Module):
    """A convolution that computes ``relu(conv(x) + residual)``, sum and rectifier being optional;
    for inference only.

    The best order of a weight depends on the input's size. It is chosen at the first call, and anew
    for every size that comes twice in a row; at other sizes the numbers are the same, but torch may
    reorder the weight at each call, which can take longer than the convolution. So the order
    follows the frames of a video, and a template now and then does not upset it.

    Args:
        layer: the convolution; ``can_pack(layer)`` holds. Its weight is copied.
        relu: whether a rectifier follows.
    """

    bias: Tensor

    def __init__(self, layer: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        assert can_pack(layer)
        self.relu = relu
        self.geometry = (
            list(map(int, layer.padding)),
            list(layer.stride),
            list(layer.dilation),
            layer.groups,
        )
        self.shape = tuple(layer.weight.shape)
        bias = layer.bias if layer.bias is not None else layer.weight.new_zeros(layer.out_channels)
        self.register_buffer('bias', bias.detach(), persistent=False)
        self._weight = layer.weight.detach()
        self._packed_for: torch.Size | None = None  # the input's size
        self._last: torch.Size | None = None

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (B, K, H', W') in the weight's type; ``residual`` has the shape of the
        result.
        """
        x = x.to(self.bias.dtype)
        if self._packed_for is None or self._packed_for != x.shape == self._last:
            self._pack(x.shape)
        self._last = x.shape
        operator = torch.ops.mkldnn._convolution_pointwise
        if residual is None:
            result: Tensor = operator(
                x, self._weight, self.bias, *self.geometry, 'relu' if self.relu else 'none', [], ''
            )
        else:
            unary = 'relu' if self.relu else None
            result = operator.binary(
                x, residual, self._weight, self.bias, *self.geometry, 'add', 1.0, unary, [], ''
            )
        return result

    @property
    def weight(self) -> Tensor:
        """(K, C / groups, h, w) in the ordinary order."""
        return self._weight.to_dense() if self._weight.is_mkldnn else self._weight

    def _pack(self, size: torch.Size) -> None:
        """Brings the weight into the best order for inputs of a size."""
        reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
        self._weight = reorder(
            self.weight.contiguous(memory_format=torch.channels_last).to_mkldnn(),
            *self.geometry,
            list(size),
        )
        self._packed_for = size


def pack_convolutions(module: nn.Module) -> None:
    """Replaces, in place, the convolutions inside a module whose batch norms are folded, with the
    rectifiers after them.
    """
    for parent in list(module.modules()):
        layers = [
            (name, child)
            for name, child in parent.named_children()
            if not isinstance(child, nn.Identity)
        ]
        for (name, layer), (next_name, next_layer) in zip(layers, [*layers[1:], ('', None)]):
            if can_pack(layer):
                relu = isinstance(parent, nn.Sequential) and isinstance(next_layer, nn.ReLU)
                setattr(parent, name, PackedConv2d(layer, relu))
                if relu:
                    setattr(parent, next_name, nn.Identity())


class WinogradConv2d(nn.Module):
    """``PackedConv2d`` for wide 3 x 3 convolutions without stride, in float32: tile by tile where
    the map is large enough.

    A tile of 6 x 6 cells becomes 36 sums, each of which takes its own C x K matrix, and the 36
    results become 4 x 4 cells. That is 36 multiplications for 16 cells instead of 144; the weight
    takes four times the memory. Same numbers up to rounding.

    Args:
        layer: the convolution, for which ``fits`` holds.
    """

    def __init__(self, layer: PackedConv2d) -> None:
        super().__init__()
        assert self.fits(layer)
        self.layer = layer
        self._padding, self._dilation = layer.geometry[0][0], layer.geometry[2][0]
        forth, back, self._spread = winograd_matrices()
        self._forth, self._back = torch.kron(forth, forth).float(), torch.kron(back, back).float()
        self._products: PackedConv2d | None = None  # made when it is first needed

    @staticmethod
    def fits(layer: object) -> TypeGuard[PackedConv2d]:
        """Whether a layer is a convolution that this one can stand for, and wide enough to gain."""
        if (
            not isinstance(layer, PackedConv2d)
            or layer.bias.dtype != torch.float32
            or min(layer.shape[:2]) < _WIDE
        ):
            return False
        padding, stride, dilation, groups = layer.geometry
        return (
            layer.shape[2:] == (3, 3)
            and stride == [1, 1]
            and groups == 1
            and padding[0] == padding[1]
            and dilation[0] == dilation[1]
        )

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """See ``PackedConv2d``."""
        batch, channels, old_height, old_width = x.shape
        height, width = (
            side + 2 * (self._padding - self._dilation) for side in (old_height, old_width)
        )
        if residual is not None or height * width < _MANY:
            result: Tensor = self.layer(x, residual)
            return result
        phases = self._dilation
        # tiles of each phase of a dilated convolution
        rows, columns = (-(-side // (_OUT * phases)) for side in (height, width))
        # cells of each phase, with a rim
        h, w = (tiles * _OUT + _IN - _OUT for tiles in (rows, columns))
        ends = [
            side * phases - old - self._padding for side, old in ((h, old_height), (w, old_width))
        ]
        cells = F.pad(x.permute(0, 2, 3, 1), (0, 0, self._padding, ends[1], self._padding, ends[0]))
        cells = cells.reshape(batch, h, phases, w, phases, channels)
        tiles = (
            cells.unfold(1, _IN, _OUT)
            .unfold(3, _IN, _OUT)
            .permute(0, 1, 2, 3, 4, 6, 7, 5)
            .reshape(-1, _IN**2, channels)
        )
        sums = (
            (self._forth @ tiles)
            .view(batch, rows * phases, columns * phases, -1)
            .permute(0, 3, 1, 2)
        )
        if self._products is None:
            self._products = self._make_products()
        products = (
            self._products(sums).permute(0, 2, 3, 1).reshape(-1, _IN**2, len(self.layer.bias))
        )
        answer = (self._back @ products).view(batch, rows, phases, columns, phases, _OUT, _OUT, -1)
        answer = answer.permute(0, 1, 5, 2, 3, 6, 4, 7).reshape(
            batch, rows * _OUT * phases, columns * _OUT * phases, -1
        )
        answer = answer[:, :height, :width] + self.layer.bias
        if self.layer.relu:
            answer.relu_()
        result = answer.permute(0, 3, 1, 2)
        return result

    def _make_products(self) -> PackedConv2d:
        """The 36 matrices, as a 1 x 1 convolution in 36 groups."""
        weight = torch.einsum(
            'ia,jb,kcab->ijkc', self._spread, self._spread, self.layer.weight.double()
        )
        convolution = nn.Conv2d(
            _IN**2 * weight.shape[3], _IN**2 * weight.shape[2], 1, groups=_IN**2, bias=False
        )
        convolution.weight = nn.Parameter(
            weight.float().flatten(0, 2)[:, :, None, None], requires_grad=False
        )
        return PackedConv2d(convolution, relu=False)


def winograd_matrices() -> tuple[Tensor, Tensor, Tensor]:
    """What brings 6 cells forth to the sums (6, 6), products back to 4 cells (4, 6), and a kernel
    of 3 to factors (6, 3).

    Toom and Cook's interpolation of a product of polynomials at five points and infinity,
    transposed; float64.
    """
    points = torch.tensor(_POINTS, dtype=torch.float64)
    forth, back, spread = (
        torch.zeros(shape, dtype=torch.float64) for shape in ((_IN, _IN), (_OUT, _IN), (_IN, 3))
    )
    for i, point in enumerate(points):
        others = torch.cat([points[:i], points[i + 1 :]])
        forth[i, :5] = _polynomial(others)
        back[:, i] = point ** torch.arange(_OUT)
        spread[i] = point ** torch.arange(3) / (point - others).prod()
    forth[5], back[3, 5], spread[5, 2] = _polynomial(points), 1, 1
    return forth, back, spread


def _polynomial(roots: Tensor) -> Tensor:
    """Coefficients of the product of (x - root), the constant first."""
    coefficients = roots.new_ones(1)
    for root in roots:
        coefficients = F.pad(coefficients, (1, 0)) - root * F.pad(coefficients, (0, 1))
    return coefficients


def use_winograd(module: nn.Module) -> None:
    """Replaces, in place, the packed convolutions inside a module that ``WinogradConv2d`` makes
    faster.
    """
    for parent in list(module.modules()):
        for name, layer in list(parent.named_children()):
            if not isinstance(parent, WinogradConv2d) and WinogradConv2d.fits(layer):
                setattr(parent, name, WinogradConv2d(layer))
