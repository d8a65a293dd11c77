"""WinogradConv2d: wide 3 x 3 convolutions with a quarter of the multiplications (Lavin and Gray,
Fast Algorithms for Convolutional Neural Networks, CVPR 2016), for inference on CPUs.

F(m x m, 3 x 3) with n = m + 2: a tile of n x n input cells becomes n * n sums (the input
transform), each of which takes a C x K matrix of its own, and the n * n products become m x m
output cells (the output transform). In float32 m is 4: 36 multiplications for 16 cells instead of
144; the weight takes four times the memory. In bfloat16 m is 2: 16 multiplications for 4 cells
instead of 36. Its transforms are whole numbers, so that its error is three times that of an
ordinary convolution in bfloat16; with m = 4 it would be seven times.

B images, C channels in, K channels out, d the dilation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .packed_layers import PackedConv2d

KERNEL = 3
# Cells of the output from which on tiles are faster.
MIN_CELLS = 100
# Tiles that are computed at once; the sums of 256 of 256 channels take 9 MB in float32.
MAX_TILES = 256


@dataclass(frozen=True)
class Tiles:
    """How a convolution is cut into tiles, in one type of numbers.

    Attributes:
        points: of interpolation, m + 1 of them; one more is infinity. With those of float32 the
            error is about twice that of an ordinary convolution.
        min_channels: of the layer, in and out, from which on tiles are faster.
    """

    points: tuple[float, ...]
    min_channels: int

    @property
    def outputs(self) -> int:
        """m."""
        return len(self.points) - 1

    @property
    def inputs(self) -> int:
        """n."""
        return len(self.points) + 1


# Measured on an AMD EPYC with AVX512-BF16.
TILES = {
    torch.float32: Tiles((0.0, 0.625, -0.625, 1.5, -1.5), min_channels=192),
    torch.bfloat16: Tiles((0.0, 1.0, -1.0), min_channels=512),
}


class WinogradConv2d(nn.Module):
    """``PackedConv2d`` by Winograd's algorithm where the map is large enough.

    Args:
        layer: the convolution, for which ``can_replace`` holds.
    """

    def __init__(self, layer: PackedConv2d) -> None:
        super().__init__()
        assert self.can_replace(layer)
        self.layer = layer
        self._padding = layer.padding[0]
        self._dilation = layer.dilation[0]
        dtype = layer.bias.dtype
        self._tiles = TILES[dtype]
        matrices = winograd_matrices(self._tiles.points)
        input_transform, output_transform, self._kernel_transform = matrices

        # in two dimensions, on flattened tiles
        self._input_transform = torch.kron(input_transform, input_transform).to(dtype)
        self._output_transform = torch.kron(output_transform, output_transform).to(dtype)
        self._products: PackedConv2d | None = None  # made when it is first needed

    @staticmethod
    def can_replace(layer: object) -> TypeGuard[PackedConv2d]:
        """Say whether a layer is a convolution of the right kind, and wide enough to gain."""
        if not isinstance(layer, PackedConv2d):
            return False
        if min(layer.shape[:2]) < TILES[layer.bias.dtype].min_channels:
            return False
        is_square = layer.padding[0] == layer.padding[1] and layer.dilation[0] == layer.dilation[1]
        is_plain = layer.stride == [1, 1] and layer.groups == 1
        return layer.shape[2:] == (3, 3) and is_square and is_plain

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Convolve; see ``PackedConv2d``."""
        x = x.to(self.layer.bias.dtype)
        batch, channels, old_height, old_width = x.shape
        margin = 2 * (self._padding - self._dilation)
        height = old_height + margin
        width = old_width + margin
        if residual is not None or height * width < MIN_CELLS:
            small: Tensor = self.layer(x, residual)
            return small

        # m, and by how many cells the input tiles overlap
        tile = self._tiles.outputs
        overlap = self._tiles.inputs - tile

        # A dilated convolution is d x d ordinary ones, each on every d-th row and column: phases.
        phases = self._dilation
        rows = _divide_up(height, tile * phases)  # of tiles, in each phase
        columns = _divide_up(width, tile * phases)
        phase_height = rows * tile + overlap
        phase_width = columns * tile + overlap

        # (B, phase_height, d, phase_width, d, C): pad with zeros and split into phases
        bottom = phase_height * phases - old_height - self._padding
        right = phase_width * phases - old_width - self._padding
        cells = F.pad(x.permute(0, 2, 3, 1), (0, 0, self._padding, right, self._padding, bottom))
        cells = cells.reshape(batch, phase_height, phases, phase_width, phases, channels)

        # (B, height, width, K): blocks of so many rows of tiles that their sums stay in the cache
        bias = self.layer.bias
        answer = bias.new_empty(batch, height, width, len(bias))
        block = _rows_of_a_block(rows, batch * columns * phases**2)
        for start in range(0, rows, block):
            # All blocks have one size: the last one may compute rows of the one before once more.
            first = min(start, rows - block)
            top = first * tile
            piece = self._convolve_block(cells[:, top : top + block * tile + overlap])
            target = answer[:, top * phases : (top + block * tile) * phases]
            torch.add(piece[:, : target.shape[1], :width], bias, out=target)
        if self.layer.relu:
            answer.relu_()
        return answer.permute(0, 3, 1, 2)

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """Convolve in the ordinary way and add; see ``PackedConv2d.add_to``."""
        return self.layer.add_to(residual, x)

    def _convolve_block(self, cells: Tensor) -> Tensor:
        """Convolve some rows of tiles, without bias and ReLU.

        Args:
            cells: (B, m rows + 2, d, m columns + 2, d, C).

        Returns:
            (B, m rows d, m columns d, K).
        """
        batch, phase_height, phases, phase_width, _, channels = cells.shape
        tile = self._tiles.outputs
        side = self._tiles.inputs
        rows = (phase_height - KERNEL + 1) // tile
        columns = (phase_width - KERNEL + 1) // tile

        # (tiles, n n, C): cut into overlapping tiles, transform to n n sums each
        tiles = cells.unfold(1, side, tile).unfold(3, side, tile)
        tiles = tiles.permute(0, 1, 2, 3, 4, 6, 7, 5).reshape(-1, side**2, channels)
        sums = self._input_transform @ tiles

        # (tiles, n n, K): each of the sums takes its own matrix, as a grouped 1 x 1 convolution
        sums = sums.view(batch, rows * phases, columns * phases, -1).permute(0, 3, 1, 2)
        if self._products is None:
            self._products = self._make_products()
        products = self._products(sums).permute(0, 2, 3, 1)
        products = products.reshape(-1, side**2, len(self.layer.bias))

        # (B, height, width, K): transform to m x m cells a tile, put tiles and phases together
        answer = self._output_transform @ products
        answer = answer.view(batch, rows, phases, columns, phases, tile, tile, -1)
        return answer.permute(0, 1, 5, 2, 3, 6, 4, 7).reshape(
            batch, rows * tile * phases, columns * tile * phases, -1
        )

    def _make_products(self) -> PackedConv2d:
        """Make the n n matrices, as a 1 x 1 convolution in n n groups."""
        transform = self._kernel_transform

        # (n, n, K, C)
        weight = torch.einsum('ia,jb,kcab->ijkc', transform, transform, self.layer.weight.double())
        outputs, inputs = weight.shape[2:]
        groups = self._tiles.inputs**2
        convolution = nn.Conv2d(groups * inputs, groups * outputs, 1, groups=groups, bias=False)
        flat = weight.to(self.layer.bias.dtype).flatten(0, 2)[:, :, None, None]
        convolution.weight = nn.Parameter(flat, requires_grad=False)
        return PackedConv2d(convolution, relu=False)


def _rows_of_a_block(rows: int, tiles_of_a_row: int) -> int:
    """Return how many rows of tiles are computed at once: about ``MAX_TILES`` tiles."""
    at_once = max(MAX_TILES // tiles_of_a_row, 1)
    blocks = _divide_up(rows, at_once)
    return _divide_up(rows, blocks)


def _divide_up(number: int, divisor: int) -> int:
    return -(-number // divisor)


def winograd_matrices(points: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Make the transforms of one dimension.

    Toom and Cook's interpolation of a product of polynomials at m + 1 points and infinity,
    transposed.

    Args:
        points: m + 1 different numbers.

    Returns:
        float64 matrices: of the input (n, n), of the output (m, n), of the kernel (n, 3).
    """
    places = torch.tensor(points, dtype=torch.float64)
    inputs = len(places) + 1
    outputs = inputs - KERNEL + 1
    input_transform = torch.zeros((inputs, inputs), dtype=torch.float64)
    output_transform = torch.zeros((outputs, inputs), dtype=torch.float64)
    kernel_transform = torch.zeros((inputs, KERNEL), dtype=torch.float64)
    for i, point in enumerate(places):
        others = torch.cat([places[:i], places[i + 1 :]])
        input_transform[i, : inputs - 1] = _polynomial(others)
        output_transform[:, i] = point ** torch.arange(outputs)
        kernel_transform[i] = point ** torch.arange(KERNEL) / (point - others).prod()

    # the point at infinity
    input_transform[-1] = _polynomial(places)
    output_transform[-1, -1] = 1
    kernel_transform[-1, -1] = 1
    return input_transform, output_transform, kernel_transform


def _polynomial(roots: Tensor) -> Tensor:
    """Return the coefficients of the product of (x - root), the constant first."""
    coefficients = roots.new_ones(1)
    for root in roots:
        coefficients = F.pad(coefficients, (1, 0)) - root * F.pad(coefficients, (0, 1))
    return coefficients


def apply_winograd(module: nn.Module) -> None:
    """Replace, in place, the packed convolutions inside a module that Winograd makes faster."""
    for parent in list(module.modules()):
        if isinstance(parent, WinogradConv2d):
            continue
        for name, layer in list(parent.named_children()):
            if WinogradConv2d.can_replace(layer):
                setattr(parent, name, WinogradConv2d(layer))
