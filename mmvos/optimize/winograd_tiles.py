"""The tiles of Winograd's convolutions (Lavin and Gray, Fast Algorithms for Convolutional Neural
Networks, CVPR 2016): their transforms, and which of them is the fastest for a map.

F(m x m, 3 x 3): a tile of n x n input cells, n = m + 2, becomes m x m output cells with n x n
multiplications for each pair of channels instead of 9 x m x m. A larger tile multiplies less, and
rounds more: see ``POINTS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

KERNEL = 3
# Interpolation points beside infinity by the size m of a tile, chosen for little rounding. With
# random weights and features of 256 channels the RMS error in float32, in parts of the outputs'
# spread, is 1.0e-6, 2.2e-6 and 4.7e-6 (an ordinary convolution: 0.9e-6).
POINTS = {
    4: (0.0, 0.625, -0.625, 1.5, -1.5),
    5: (0.28125, -0.28125, 0.84375, -0.84375, 1.75, -1.75),
    6: (0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0),
}

# What a convolution costs, in multiplications of a large matrix product, measured on one core of
# an AMD EPYC with AVX512-BF16; see ``fastest_tile``. An ordinary convolution, by type, for each
# output cell and pair of channels:
ORDINARY = {torch.float32: 8.0, torch.bfloat16: 4.0}
# Transforming one value to and fro; reading a weight; starting all the operators.
TRANSFORM = 62
WEIGHT = 16
START = 40_000_000
# Tiles, and then larger ones, are taken where they need less than this part of the time.
CLEARLY = 0.95


@dataclass(frozen=True)
class Tile:
    """A size of tiles and its transforms of one dimension.

    Toom and Cook's interpolation of a product of polynomials, transposed.

    Args:
        size: m, output cells in a row.
        to_sums: (n, n), from input cells to the factors of the products, float32.
        to_cells: (m, n), from the products to output cells, float32.
        kernel: (n, 3), from the kernel to the other factors, float64.
    """

    size: int
    to_sums: Tensor
    to_cells: Tensor
    kernel: Tensor

    @property
    def width(self) -> int:
        """n, input cells in a row."""
        return self.size + KERNEL - 1


@cache
def make_tile(size: int) -> Tile:
    """Make the tile of a size that is in ``POINTS``."""
    points = torch.tensor(POINTS[size], dtype=torch.float64)
    width = size + KERNEL - 1
    to_sums = torch.zeros((width, width), dtype=torch.float64)
    to_cells = torch.zeros((size, width), dtype=torch.float64)
    kernel = torch.zeros((width, KERNEL), dtype=torch.float64)
    for i, point in enumerate(points):
        # Lagrange's polynomial of the point: the kernel's share is divided by its value there.
        others = torch.cat([points[:i], points[i + 1 :]])
        scale = (point - others).prod()
        to_sums[i, :-1] = _polynomial(others)

        # What is interpolated are values at the point.
        to_cells[:, i] = point ** torch.arange(size)
        kernel[i] = point ** torch.arange(KERNEL) / scale

    # the point at infinity
    to_sums[-1] = _polynomial(points)
    to_cells[-1, -1] = 1
    kernel[-1, -1] = 1
    return Tile(size, to_sums.float(), to_cells.float(), kernel)


def _polynomial(roots: Tensor) -> Tensor:
    """Return the coefficients of the product of (x - root), the constant first."""
    coefficients = roots.new_ones(1)
    for root in roots:
        coefficients = F.pad(coefficients, (1, 0)) - root * F.pad(coefficients, (0, 1))
    return coefficients


def fastest_tile(
    images: int,
    height: int,
    width: int,
    weight: tuple[int, ...],
    dtype: torch.dtype,
) -> int | None:
    """Return the size of the tiles that are the fastest, by counting.

    A map of T tiles, n x n sums each, costs the products (n n T C K), reading the weights
    (``WEIGHT`` n n C K), the transforms (``TRANSFORM`` n n T (C + K)) and ``START``. The first
    falls with the size of the tile, the second rises, and tiles that reach over the edge of the map
    are computed in vain. So large maps take large tiles, and small ones small tiles or none.

    Args:
        images: of the batch.
        height: cells of the output.
        width: the same.
        weight: shape (K, C, 3, 3).
        dtype: of the ordinary convolution; tiles compute in float32.

    Returns:
        The size, or None where the ordinary convolution is not clearly slower. A larger tile, which
        rounds more, has to be clearly faster than a smaller one.
    """
    outputs, inputs = weight[:2]
    pairs = inputs * outputs
    best = None
    least = ORDINARY[dtype] * images * height * width * pairs
    for size in POINTS:
        tiles = images * divide_up(height, size) * divide_up(width, size)
        products = (tiles + WEIGHT) * pairs
        transforms = TRANSFORM * tiles * (inputs + outputs)
        cost = (size + KERNEL - 1) ** 2 * (products + transforms) + START
        if cost < CLEARLY * least:
            best = size
            least = cost
    return best


def divide_up(number: int, divisor: int) -> int:
    """Divide and round up."""
    return -(-number // divisor)
