"""Regions cut out of frames and features, and pasted back.

A *square* is an int64 row (x, y, side) in frame pixels: its left column, its top row and its side;
it may reach outside the frame. K squares, B frames of H x W pixels, C channels, P clicks, S x S the
size of a crop. Resampling is bilinear with antialiasing (``align_corners=False``: the square's
edges are the crop's edges), so a crop and its paste are aligned at every scale. SiamMask's windows
are squares too; their rounding and resampling are in ``siamese_geometry``. Arrays are torch's or
numpy's, see ``arrays``.

*RoIAlign* (He et al., Mask R-CNN, ICCV 2017, section 3) samples any regions of features. For CPUs
it is one sparse matrix product here: every output cell is a weighted sum of feature vectors, which
on channels-last features is ``embedding_bag``; that uses all cores and the vector units, forward
and backward. The numbers are those of ``mmcv.ops.RoIAlign(aligned=True, sampling_ratio >= 1)``. R
regions; B, C, H, W the features; S x S the output; n x n samples per output cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arrays import Array, array_like, array_namespace, device, is_on_host, resize

if TYPE_CHECKING:
    from torch import Tensor

CLICK_RADIUS = 1 / 64  # over the side of the square


def squares_around(boxes: Array, context: Array | float, smallest: int, largest: int) -> Array:
    """Return squares around the centers of boxes.

    Args:
        boxes: (K, 4) float xyxy.
        context: side over the box's longer side, one number or (K,).
        smallest, largest: bounds of the side in pixels.

    Returns:
        (K, 3) int64.
    """
    xp = array_namespace(boxes)
    low = boxes[:, :2]
    high = boxes[:, 2:]

    # (K, 1): context times the longer side
    longer_side = xp.max(high - low, axis=1)
    side = xp.clip(longer_side * context, smallest, largest)
    side = xp.round(side)[:, None]

    # (K, 2): left and top
    corner = (low + high - side) / 2
    corner = xp.round(corner)
    squares = xp.concat([corner, side], axis=1)
    return xp.astype(squares, xp.int64)


def crop_squares(images: Array, index: Sequence[int], squares: Array, size: int) -> Array:
    """Cut squares out of frames; what lies outside a frame is 0.

    Args:
        images: (B, C, H, W) float.
        index: K numbers of frames.
        squares: (K, 3).
        size: S.

    Returns:
        (K, C, S, S) float32.
    """
    if not is_on_host(images):
        from . import device_sampling

        return device_sampling.crop_squares(images, index, squares, size)
    xp = array_namespace(images)
    _, channels, height, width = images.shape
    place = device(images)
    empty = xp.zeros((1, channels, size, size), dtype=xp.float32, device=place)
    crops = []
    for frame, (x, y, side) in zip(index, squares.tolist(), strict=True):
        # (1, C, h, w): what of the square lies in the frame
        x0, y0, x1, y1 = visible_part(x, y, side, height, width)
        if x0 == x1 or y0 == y1:
            crops.append(empty)
            continue
        # (1, C, side, side): zeros outside the frame
        square = xp.zeros((1, channels, side, side), dtype=xp.float32, device=place)
        rows = slice(y0 - y, y1 - y)
        columns = slice(x0 - x, x1 - x)
        square[0, :, rows, columns] = images[frame, :, y0:y1, x0:x1]
        crops.append(resize(square, size, size))
    if not crops:
        return empty[:0]
    return xp.concat(crops)


def paste_squares(crops: Array, squares: Array, height: int, width: int) -> Array:
    """Put one-channel crops back into frames; the frame is 0 outside the square.

    Args:
        crops: (K, S, S) float.
        squares: (K, 3).
        height, width: H and W.

    Returns:
        (K, H, W) float32.
    """
    if not is_on_host(crops):
        from . import device_sampling

        return device_sampling.paste_squares(crops, squares, height, width)
    xp = array_namespace(crops)
    crops = xp.astype(crops, xp.float32, copy=False)
    place = device(crops)
    frames = xp.zeros((len(crops), height, width), dtype=xp.float32, device=place)
    for k, (x, y, side) in enumerate(squares.tolist()):
        x0, y0, x1, y1 = visible_part(x, y, side, height, width)
        if x0 == x1 or y0 == y1:
            continue
        # (side, side), of which a part lies in the frame
        square = resize(crops[k : k + 1, None], side, side)[0, 0]
        rows = slice(y0 - y, y1 - y)
        columns = slice(x0 - x, x1 - x)
        frames[k, y0:y1, x0:x1] = square[rows, columns]
    return frames


def draw_clicks(clicks: Array, squares: Array, size: int) -> Array:
    """Draw clicks as disks in squares.

    Args:
        clicks: (K, P, 3) rows x, y, sign in frame pixels; sign 0 is none.
        squares: (K, 3).
        size: S.

    Returns:
        (K, 1, S, S) in {-1, 0, 1}.
    """
    # (K, P, 2): the clicks in pixels of their squares
    xp = array_namespace(clicks)
    corners = squares[:, :2]
    sides = squares[:, 2:]
    places = clicks[..., :2]
    signs = clicks[..., 2:]
    scale = size / xp.astype(sides, xp.float32)
    centers = (places - corners[:, None]) * scale[:, :, None]

    # (K, P, S): squared distances of columns and rows from each click
    pixels = xp.arange(size, dtype=xp.float32, device=device(clicks)) + 0.5
    across = xp.square(pixels - centers[..., :1])
    down = xp.square(pixels - centers[..., 1:])

    # (K, P, S, S): which pixels lie in which disk
    radius = size * CLICK_RADIUS
    distance = down[..., :, None] + across[..., None, :]
    inside = distance <= radius**2

    # (K, S, S): of clicks that overlap the later ones win
    drawn = xp.zeros((len(clicks), size, size), dtype=xp.float32, device=device(clicks))
    for index in range(clicks.shape[1]):
        sign = signs[:, index, :, None]
        is_drawn = inside[:, index] & (sign != 0)
        drawn = xp.where(is_drawn, sign, drawn)
    return drawn[:, None]


def square_rois(squares: Array, index: Sequence[int]) -> Array:
    """Return squares of frames as the regions that RoIAlign takes.

    Args:
        squares: (K, 3).
        index: K numbers of frames.

    Returns:
        (K, 5) float, index and xyxy.
    """
    xp = array_namespace(squares)
    frames = array_like(list(index), squares)
    corners = squares[:, :2]
    sides = squares[:, 2:]
    # (K, 4) xyxy
    boxes = xp.concat([corners, corners + sides], axis=1)
    boxes = xp.astype(boxes, xp.float32)
    return xp.concat([frames[:, None], boxes], axis=1)


def visible_part(x: int, y: int, side: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the part of a square that lies in a frame.

    Args:
        x, y, side: of the square; it may reach outside the frame.
        height, width: of the frame.

    Returns:
        x0, y0, x1, y1, the ends not included; x0 = x1 or y0 = y1 where the square lies outside.
    """
    right = x + side
    bottom = y + side
    x0 = min(max(x, 0), width)
    y0 = min(max(y, 0), height)
    x1 = max(min(right, width), x0)
    y1 = max(min(bottom, height), y0)
    return x0, y0, x1, y1


def roi_align(
    features: Tensor, rois: Tensor, size: int, spatial_scale: float, samples: int
) -> Tensor:
    """Sample S x S cells of each region, bilinearly, the mean of n x n points per cell.

    Args:
        features: (B, C, H, W) float; fastest where it is channels-last.
        rois: (R, 5): index of the image, then a box xyxy in image pixels.
        size: S.
        spatial_scale: feature cells per image pixel.
        samples: n >= 1.

    Returns:
        (R, C, S, S) in the type of ``features``, channels-last.
    """
    from torch.nn import functional as F  # squares are also cut without torch

    assert rois.dim() == 2 and rois.shape[1] == 5 and samples >= 1
    num_rois = len(rois)
    channels = features.shape[1]
    index, weight = _roi_taps(features, rois, size, spatial_scale, samples)
    weight = weight.to(features.dtype)

    # (B * H * W, C): the weighted sum of rows of this table for each cell
    table = features.permute(0, 2, 3, 1)
    table = table.reshape(-1, channels)
    cells = F.embedding_bag(index, table, mode='sum', per_sample_weights=weight)

    # (R, C, S, S)
    cells = cells.view(num_rois, size, size, channels)
    return cells.permute(0, 3, 1, 2)


def roi_align_levels(
    levels: Sequence[Tensor],
    strides: Sequence[int],
    rois: Tensor,
    numbers: Tensor,
    size: int,
    samples: int,
) -> Tensor:
    """Sample each region from its own level of a pyramid, without asking a device which; see
    ``roi_align``.

    Args:
        levels: L maps (B, C, h, w).
        strides: of each image pixels per cell.
        rois: (R, 5), index of the image and box.
        numbers: (R,) of each region its level.
        size, samples: see ``roi_align``.

    Returns:
        (R, C, S, S).
    """
    import torch
    from torch.nn import functional as F

    # One table of the feature vectors of all levels; of each region the taps in its own.
    channels = levels[0].shape[1]
    num_cells = size * size
    total = len(rois) * num_cells
    number_of_cell = numbers.repeat_interleave(num_cells, output_size=total)
    number_of_cell = number_of_cell[:, None]
    num_taps = 4 * samples * samples
    index = rois.new_zeros(len(number_of_cell), num_taps, dtype=torch.int64)
    weight = rois.new_zeros(len(number_of_cell), num_taps)
    tables = []
    first = 0
    for number, features in enumerate(levels):
        table = features.permute(0, 2, 3, 1)
        table = table.reshape(-1, channels)
        scale = 1 / strides[number]
        own_index, own_weight = _roi_taps(features, rois, size, scale, samples)
        is_here = number_of_cell == number
        index = torch.where(is_here, own_index + first, index)
        weight = torch.where(is_here, own_weight, weight)
        first += len(table)
        tables.append(table)

    # (R * S * S, C) -> (R, C, S, S)
    table = torch.cat(tables)
    weight = weight.to(table.dtype)
    cells = F.embedding_bag(index, table, mode='sum', per_sample_weights=weight)
    return cells.view(len(rois), size, size, channels).permute(0, 3, 1, 2)


def _roi_taps(
    features: Tensor, rois: Tensor, size: int, spatial_scale: float, samples: int
) -> tuple[Tensor, Tensor]:
    """Find which feature vectors each output cell of RoIAlign is a weighted sum of.

    Args:
        features, rois, size, spatial_scale, samples: see ``roi_align``.

    Returns:
        Rows of the table of all feature vectors (B * H * W, C), and their weights:
        (R * S * S, 4 n n) each.
    """
    _, _, height, width = features.shape
    # In feature cells, whose centers have integer coordinates.
    boxes = rois[:, 1:] * spatial_scale - 0.5
    x1, y1, x2, y2 = boxes.unbind(dim=1)

    # (R, S, 2n) each: the features that each output cell touches along x and along y
    columns, column_weights = _neighbors(x1, x2, size, samples, width)
    rows, row_weights = _neighbors(y1, y2, size, samples, height)

    # (R, S, S, 2n, 2n): their positions in the table of all feature vectors, and their weights
    image = rois[:, 0].long()
    first = image * (height * width)
    row_starts = first[:, None, None] + rows * width
    row_starts = row_starts[:, :, None, :, None]
    row_weights = row_weights[:, :, None, :, None]
    columns = columns[:, None, :, None, :]
    column_weights = column_weights[:, None, :, None, :]
    index = row_starts + columns
    weight = row_weights * column_weights

    # (R * S * S, 4 n n) each
    num_taps = 4 * samples * samples
    index = index.reshape(-1, num_taps)
    return index, weight.reshape(-1, num_taps)


def _neighbors(
    start: Tensor, end: Tensor, size: int, samples: int, length: int
) -> tuple[Tensor, Tensor]:
    """The two features next to each sample along one axis, for the mean over n samples per cell.

    A sample more than one cell outside the features counts as zero; one that is less far outside
    takes the border's value.

    Args:
        start, end: (R,) of the regions, in feature cells.
        size: S.
        samples: n.
        length: number of features along the axis.

    Returns:
        Indices and weights, (R, S, 2n).
    """
    import torch

    # (R, S * n): the samples, at equal distances
    num_samples = size * samples
    numbers = torch.arange(num_samples, device=start.device, dtype=start.dtype)
    steps = (numbers + 0.5) / num_samples
    length_of_region = (end - start)[:, None]
    position = start[:, None] + length_of_region * steps
    is_inside = (position >= -1) & (position <= length)

    # Each lies between two features.
    position = position.clamp(0, length - 1)
    low = position.floor()
    fraction = position - low
    low_index = low.long()
    high_index = (low_index + 1).clamp(max=length - 1)

    # (R, S * n, 2)
    index = torch.stack([low_index, high_index], dim=-1)
    weight = torch.stack([1 - fraction, fraction], dim=-1)
    share = is_inside / samples
    weight = weight * share[..., None]
    shape = (len(start), size, 2 * samples)
    return index.view(shape), weight.view(shape)
