"""WinogradConv2d: 3 x 3 convolutions with a quarter to a fifth of the multiplications (Lavin and
Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016), for inference on CPUs.

A tile of n x n input cells becomes n x n sums (the input transform), each of which takes a C x K
matrix of its own, and the n x n products become m x m output cells (the output transform), m = 4, 5
or 6 and n = m + 2. That is 36 multiplications for 16 cells instead of 144, or 64 for 36 instead of
324; the weight takes four to seven times the memory. B images, C channels in, K channels out.

Both transforms take one dimension after the other. Down the columns they are products of a small
matrix with all cells of a row of tiles, and read the features and write the result where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from typing import TypeGuard

import torch
from torch import Tensor, nn

from mmvos.cpu_flags import cpu_flags

from .packed_layers import PackedConv2d
from .winograd_tiles import Tile, divide_up, fastest_tile, make_tile

# Channels of a layer from which on tiles may be faster.
MIN_CHANNELS = 64
# Tiles that are computed at once; n sums of 256 tiles of 256 channels take 2 MB.
MAX_TILES = 256

# Of a row of tiles: its image, its phase (see ``WinogradConv2d._convolve``), and which of its rows.
Place = tuple[int, int, int]
# Sums of tiles (rows, columns, n, C) by their matrices: (rows columns, n, K).
Product = Callable[[Tensor], Tensor]


class WinogradConv2d(nn.Module):
    """``PackedConv2d`` by Winograd's algorithm where that is faster (``fastest_tile``), in float32.

    A layer in bfloat16 takes and gives bfloat16, and is the more exact for it.

    Args:
        layer: the convolution, for which ``can_replace`` holds.
        any_number: whether the number of images changes from call to call. Then the products are
            plain ones: weights in oneDNN's memory order are hardly faster, and for a number that
            they were not brought into it for up to eight times slower.
    """

    def __init__(self, layer: PackedConv2d, any_number: bool = False) -> None:
        super().__init__()
        assert self.can_replace(layer)
        self.layer = layer
        self.any_number = any_number
        self._dilation = layer.dilation[0]
        self._margin = layer.padding[0]
        # by the size of the tile, one for each row of sums; made when they are first needed
        self._products: dict[int, list[Product]] = {}

    @staticmethod
    def can_replace(layer: object) -> TypeGuard[PackedConv2d]:
        """Say whether a layer is a convolution of the right kind, and may gain."""
        if not isinstance(layer, PackedConv2d):
            return False

        # With AMX, bfloat16 is several times faster than float32.
        if layer.bias.dtype != torch.float32 and _has_amx():
            return False

        # Wide enough: channels out and in.
        if min(layer.shape[:2]) < MIN_CHANNELS:
            return False

        # 3 x 3 without a stride or groups, alike in both directions, a margin of one cell or none.
        if layer.shape[2:] != (3, 3) or layer.groups != 1:
            return False
        pairs = (layer.padding, layer.dilation)
        is_alike = all(vertical == horizontal for vertical, horizontal in pairs)
        has_margin = layer.padding[0] in (0, layer.dilation[0])
        return is_alike and has_margin and layer.stride == [1, 1]

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Convolve; see ``PackedConv2d``."""
        size = self._tile_size(x)
        if residual is not None or size is None:
            ordinary: Tensor = self.layer(x, residual)
            return ordinary
        return self._convolve(x.permute(0, 2, 3, 1), size).permute(0, 3, 1, 2)

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """Convolve in the ordinary way and add; see ``PackedConv2d.add_to``."""
        return self.layer.add_to(residual, x)

    def _tile_size(self, x: Tensor) -> int | None:
        """Return the size of the tiles for an input (B, C, H, W); None: none are faster."""
        batch, _, height, width = x.shape
        step = self._dilation
        shrink = 2 * (step - self._margin)
        return fastest_tile(
            batch * step**2,
            divide_up(height - shrink, step),
            divide_up(width - shrink, step),
            self.layer.shape,
            self.layer.bias.dtype,
        )

    def _convolve(self, cells: Tensor, size: int) -> Tensor:
        """Convolve by tiles.

        A dilated convolution is d x d ordinary ones, each on every d-th row and column: phases.

        Args:
            cells: (B, H, W, C), of any type.
            size: of the tiles, m.

        Returns:
            (B, H', W', K), of the layer's type.
        """
        tile = make_tile(size)
        cells = cells.float().contiguous()
        batch, height, width, _ = cells.shape
        shrink = 2 * (self._dilation - self._margin)
        shape = (batch, height - shrink, width - shrink, self.layer.shape[0])
        answer = cells.new_empty(shape, dtype=self.layer.bias.dtype)

        # Rows of tiles, of all images and phases, are computed in blocks that the cache can hold.
        # All blocks have one size: the last one may compute rows of the one before once more.
        rows = divide_up(divide_up(height - shrink, self._dilation), size)
        columns = divide_up(divide_up(width - shrink, self._dilation), size)
        places = list(product(range(batch), range(self._dilation), range(rows)))
        at_once = max(MAX_TILES // (columns * self._dilation), 1)
        block = divide_up(len(places), divide_up(len(places), at_once))
        for start in range(0, len(places), block):
            first = min(start, len(places) - block)
            here = places[first : first + block]
            sums = self._transform_down(cells, here, tile, columns)
            products = self._multiply(sums, tile)

            # (n, places, d, columns m, K); see ``_transform_down``
            lines = products.unflatten(3, (-1, columns * size)).transpose(2, 3).flatten(1, 2)
            self._transform_up(lines, here, tile, answer)
        return answer

    def _transform_down(
        self, cells: Tensor, places: Sequence[Place], tile: Tile, columns: int
    ) -> Tensor:
        """Take the first half of the input transform: columns of cells become columns of sums.

        Where a row has room for its margin after its cells, the next row follows at once, and its
        own margin serves both: so all rows are one long row. Else each has both margins.

        Args:
            cells: (B, H, W, C).
            places: of the rows of tiles.
            tile: their kind.
            columns: tiles of a row and phase.

        Returns:
            (n, 1, (places columns m + 2) d, C) or (n, places, (columns m + 2) d, C).
        """
        _, height, width, channels = cells.shape
        step = self._dilation
        overlap = (tile.width - tile.size) * step
        length = columns * tile.size * step
        if self._margin + width <= length:
            sums = cells.new_empty(tile.width, 1, len(places) * length + overlap, channels)
            sums[:, :, -overlap:] = 0
            lines = sums[:, 0, :-overlap].unflatten(1, (len(places), length))
        else:
            sums = cells.new_empty(tile.width, len(places), length + overlap, channels)
            lines = sums

        # the zeros before and after the cells of each row
        lines[:, :, : self._margin] = 0
        lines[:, :, self._margin + width :] = 0
        matrix = tile.to_sums
        for place, (image, phase, row) in enumerate(places):
            # Rows above and below the image are zeros, for which nothing is computed.
            top = phase + row * tile.size * step - self._margin
            first = divide_up(max(-top, 0), step)
            last = min(divide_up(height - top, step), tile.width)
            seen = cells[image, top + first * step : top + last * step : step].flatten(1)
            target = lines[:, place, self._margin : self._margin + width].flatten(1)
            torch.mm(matrix[:, first:last], seen, out=target)
        return sums

    def _multiply(self, sums: Tensor, tile: Tile) -> Tensor:
        """Take the other half of the input transform, the products, and the first half of the
        output transform: rows of products become rows of cells.

        Args:
            sums: of ``_transform_down``, (n, rows, (tiles m + 2) d, C).
            tile: the kind of tiles.

        Returns:
            (n, rows, d, tiles m, K), the phases apart.
        """
        layers = self._products.get(tile.size)
        if layers is None:
            layers = self._make_products(tile)
            self._products[tile.size] = layers
        outputs, channels = self.layer.shape[:2]

        # (n, rows, d, tiles m + 2, C)
        phases = sums.unflatten(2, (-1, self._dilation)).transpose(2, 3)
        cells = phases.shape[3]
        columns = cells // tile.size
        tiles = sums.shape[1] * self._dilation * columns
        across = tile.to_sums.expand(tiles, -1, -1)
        back = tile.to_cells.expand(tiles, -1, -1)
        transformed = sums.new_empty(tiles, tile.width, channels)
        result = sums.new_empty(tile.width, tiles, tile.size, outputs)
        for number, layer in enumerate(layers):
            # (tiles, n, C): they overlap by two cells; those of one row are read where they lie,
            # those of several copied.
            overlapping = phases[number].unfold(2, tile.width, tile.size).transpose(3, 4)
            torch.bmm(across, overlapping.flatten(0, 2), out=transformed)

            # (tiles, n, K): each sum takes its own matrix
            products = layer(transformed.unflatten(0, (-1, columns)))
            torch.bmm(back, products, out=result[number])
        return result.view(tile.width, -1, self._dilation, columns * tile.size, outputs)

    def _transform_up(
        self, products: Tensor, places: Sequence[Place], tile: Tile, answer: Tensor
    ) -> None:
        """Take the other half of the output transform, with bias and ReLU: write the output.

        Args:
            products: of ``_multiply``, (n, places, d, columns m, K).
            places: of the rows of tiles.
            tile: their kind.
            answer: (B, H', W', K), which is written.
        """
        matrix = tile.to_cells
        bias = self.layer.bias.float()
        step = self._dilation
        width, outputs = products.shape[3:]
        for place, (image, phase, row) in enumerate(places):
            top = phase + row * tile.size * step
            rows = answer[image, top : top + tile.size * step : step]
            seen = products[:, place].flatten(1)
            cells = torch.mm(matrix[: rows.shape[0]], seen).unflatten(1, (step, width, outputs))
            for column in range(step):
                target = rows[:, column::step]
                torch.add(cells[:, column, : target.shape[1]], bias, out=target)
            if self.layer.relu:
                rows.relu_()

    def _make_products(self, tile: Tile) -> list[Product]:
        """Make the n x n matrices, n for each row of sums."""
        # (n, n, K, C)
        kernel = tile.kernel
        weight = torch.einsum('ia,jb,kcab->ijkc', kernel, kernel, self.layer.weight.double())
        kind = _plain_product if self.any_number else _packed_product
        return [kind(row) for row in weight.float()]


def _plain_product(weight: Tensor) -> Product:
    """Make matrices (n, K, C) a function: (rows, columns, n, C) -> (rows columns, n, K)."""
    matrices = weight.transpose(1, 2).contiguous()

    def multiply(sums: Tensor) -> Tensor:
        return torch.bmm(sums.flatten(0, 1).transpose(0, 1), matrices).transpose(0, 1)

    return multiply


def _packed_product(weight: Tensor) -> Product:
    """Make the same as a 1 x 1 convolution in n groups, with its weight in oneDNN's order."""
    groups, outputs, inputs = weight.shape
    convolution = nn.Conv2d(
        groups * inputs, groups * outputs, 1, groups=groups, bias=False, device='meta'
    )
    flat = weight.flatten(0, 1)[:, :, None, None]
    convolution.weight = nn.Parameter(flat, requires_grad=False)
    layer = PackedConv2d(convolution, relu=False)

    def multiply(sums: Tensor) -> Tensor:
        image = sums.flatten(2)[None].permute(0, 3, 1, 2)
        answer: Tensor = layer(image)
        return answer.permute(0, 2, 3, 1).view(-1, groups, outputs)

    return multiply


@cache
def _has_amx() -> bool:
    """Say whether the CPU has a unit for matrices of bfloat16."""
    return 'amx_bf16' in cpu_flags()


def apply_winograd(module: nn.Module) -> None:
    """Replace, in place, the packed convolutions inside a module that Winograd makes faster."""
    for parent in list(module.modules()):
        if isinstance(parent, WinogradConv2d):
            continue
        for name, layer in list(parent.named_children()):
            if WinogradConv2d.can_replace(layer):
                setattr(parent, name, WinogradConv2d(layer))
