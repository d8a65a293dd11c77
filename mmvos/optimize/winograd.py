"""WinogradConv2d: wide 3 x 3 convolutions with a quarter of the multiplications (Lavin and Gray,
Fast Algorithms for Convolutional Neural Networks, CVPR 2016), for inference on CPUs in float32.

F(4 x 4, 3 x 3): a tile of 6 x 6 input cells becomes 36 sums (the input transform), each of which
takes a C x K matrix of its own, and the 36 products become 4 x 4 output cells (the output
transform). That is 36 multiplications for 16 cells instead of 144; the weight takes four times the
memory. B images, C channels in, K channels out, d the dilation.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .packed_layers import PackedConv2d

OUTPUT_TILE = 4
INPUT_TILE = 6
# Interpolation points. With these the error is about twice that of an ordinary convolution.
POINTS = (0.0, 0.625, -0.625, 1.5, -1.5)
# Channels of the layer, and cells of its output, from which on tiles are faster.
MIN_CHANNELS = 192
MIN_CELLS = 100
# Tiles that are computed at once; the sums of 256 of 256 channels take 9 MB.
MAX_TILES = 256


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
        input_transform, output_transform, self._kernel_transform = winograd_matrices()

        # in two dimensions, on flattened tiles
        self._input_transform = torch.kron(input_transform, input_transform).float()
        self._output_transform = torch.kron(output_transform, output_transform).float()
        self._products: PackedConv2d | None = None  # made when it is first needed

    @staticmethod
    def can_replace(layer: object) -> TypeGuard[PackedConv2d]:
        """Say whether a layer is a convolution of the right kind, and wide enough to gain."""
        if not isinstance(layer, PackedConv2d) or layer.bias.dtype != torch.float32:
            return False

        # Wide enough: channels out and in.
        if min(layer.shape[:2]) < MIN_CHANNELS:
            return False

        # 3 x 3 without a stride or groups, and alike in both directions.
        if layer.shape[2:] != (3, 3) or layer.groups != 1:
            return False
        pairs = (layer.padding, layer.dilation)
        is_alike = all(vertical == horizontal for vertical, horizontal in pairs)
        return is_alike and layer.stride == [1, 1]

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Convolve; see ``PackedConv2d``."""
        batch, channels, old_height, old_width = x.shape
        margin = 2 * (self._padding - self._dilation)
        height = old_height + margin
        width = old_width + margin
        if residual is not None or height * width < MIN_CELLS:
            small: Tensor = self.layer(x, residual)
            return small

        # A dilated convolution is d x d ordinary ones, each on every d-th row and column: phases.
        phases = self._dilation
        rows = _divide_up(height, OUTPUT_TILE * phases)  # of tiles, in each phase
        columns = _divide_up(width, OUTPUT_TILE * phases)
        overlap = INPUT_TILE - OUTPUT_TILE
        phase_height = rows * OUTPUT_TILE + overlap
        phase_width = columns * OUTPUT_TILE + overlap

        # (B, phase_height, d, phase_width, d, C): pad with zeros and split into phases
        bottom = phase_height * phases - old_height - self._padding
        right = phase_width * phases - old_width - self._padding
        cells = F.pad(x.permute(0, 2, 3, 1), (0, 0, self._padding, right, self._padding, bottom))
        cells = cells.reshape(batch, phase_height, phases, phase_width, phases, channels)

        # (B, height, width, K): blocks of so many rows of tiles that their sums stay in the cache
        answer = cells.new_empty(batch, height, width, len(self.layer.bias))
        block = _rows_of_a_block(rows, batch * columns * phases**2)
        for start in range(0, rows, block):
            # All blocks have one size: the last one may compute rows of the one before once more.
            first = min(start, rows - block)
            top = first * OUTPUT_TILE
            piece = self._convolve_block(cells[:, top : top + block * OUTPUT_TILE + overlap])
            target = answer[:, top * phases : (top + block * OUTPUT_TILE) * phases]
            torch.add(piece[:, : target.shape[1], :width], self.layer.bias, out=target)
        if self.layer.relu:
            answer.relu_()
        return answer.permute(0, 3, 1, 2)

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """Convolve in the ordinary way and add; see ``PackedConv2d.add_to``."""
        return self.layer.add_to(residual, x)

    def _convolve_block(self, cells: Tensor) -> Tensor:
        """Convolve some rows of tiles, without bias and ReLU.

        Args:
            cells: (B, 4 rows + 2, d, 4 columns + 2, d, C).

        Returns:
            (B, 4 rows d, 4 columns d, K).
        """
        batch, phase_height, phases, phase_width, _, channels = cells.shape
        rows = phase_height // OUTPUT_TILE
        columns = phase_width // OUTPUT_TILE

        # (tiles, 36, C): cut into overlapping tiles, transform to 36 sums each
        tiles = cells.unfold(1, INPUT_TILE, OUTPUT_TILE).unfold(3, INPUT_TILE, OUTPUT_TILE)
        tiles = tiles.permute(0, 1, 2, 3, 4, 6, 7, 5).reshape(-1, INPUT_TILE**2, channels)
        sums = self._input_transform @ tiles

        # (tiles, 36, K): each of the 36 sums takes its own matrix, as a grouped 1 x 1 convolution
        sums = sums.view(batch, rows * phases, columns * phases, -1).permute(0, 3, 1, 2)
        if self._products is None:
            self._products = self._make_products()
        products = self._products(sums).permute(0, 2, 3, 1)
        products = products.reshape(-1, INPUT_TILE**2, len(self.layer.bias))

        # (B, K, height, width): transform to 4 x 4 cells a tile, put tiles and phases together
        answer = self._output_transform @ products
        answer = answer.view(batch, rows, phases, columns, phases, OUTPUT_TILE, OUTPUT_TILE, -1)
        return answer.permute(0, 1, 5, 2, 3, 6, 4, 7).reshape(
            batch, rows * OUTPUT_TILE * phases, columns * OUTPUT_TILE * phases, -1
        )

    def _make_products(self) -> PackedConv2d:
        """Make the 36 matrices, as a 1 x 1 convolution in 36 groups."""
        transform = self._kernel_transform

        # (6, 6, K, C)
        weight = torch.einsum('ia,jb,kcab->ijkc', transform, transform, self.layer.weight.double())
        outputs, inputs = weight.shape[2:]
        groups = INPUT_TILE**2
        convolution = nn.Conv2d(groups * inputs, groups * outputs, 1, groups=groups, bias=False)
        flat = weight.float().flatten(0, 2)[:, :, None, None]
        convolution.weight = nn.Parameter(flat, requires_grad=False)
        return PackedConv2d(convolution, relu=False)


def _rows_of_a_block(rows: int, tiles_of_a_row: int) -> int:
    """Return how many rows of tiles are computed at once: about ``MAX_TILES`` tiles."""
    at_once = max(MAX_TILES // tiles_of_a_row, 1)
    blocks = _divide_up(rows, at_once)
    return _divide_up(rows, blocks)


def _divide_up(number: int, divisor: int) -> int:
    return -(-number // divisor)


def winograd_matrices() -> tuple[Tensor, Tensor, Tensor]:
    """Make the transforms of one dimension.

    Toom and Cook's interpolation of a product of polynomials at five points and infinity,
    transposed.

    Returns:
        float64 matrices: of the input (6, 6), of the output (4, 6), of the kernel (6, 3).
    """
    points = torch.tensor(POINTS, dtype=torch.float64)
    input_transform = torch.zeros((INPUT_TILE, INPUT_TILE), dtype=torch.float64)
    output_transform = torch.zeros((OUTPUT_TILE, INPUT_TILE), dtype=torch.float64)
    kernel_transform = torch.zeros((INPUT_TILE, 3), dtype=torch.float64)
    for i, point in enumerate(points):
        # Lagrange's polynomial of the point: the kernel's share is divided by its value there.
        others = torch.cat([points[:i], points[i + 1 :]])
        scale = (point - others).prod()
        input_transform[i, :5] = _polynomial(others)

        # What is interpolated are values at the point.
        output_transform[:, i] = point ** torch.arange(OUTPUT_TILE)
        kernel_transform[i] = point ** torch.arange(3) / scale

    # the point at infinity
    input_transform[5] = _polynomial(points)
    output_transform[3, 5] = 1
    kernel_transform[5, 2] = 1
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
