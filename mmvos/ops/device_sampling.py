"""Cutting and pasting on a device that the host should not wait for, such as a GPU.

The same sampling as in ``crop``, ``masks`` and ``siamese_geometry``, for all objects at once and
without a loop over them: places may be numbers on the device, so nothing is read back. On a CPU
those others are faster, and they are the exact ones. Windows are cut here with OpenCV's own whole
numbers; all else differs by rounding, by a hundredth of a pixel or one part in 255 at most.

Bilinear sampling is separable, so most of it is two matrix products: rows of weights for the lines
of the image, and for its columns. The products are in float32 whatever autocast says.

K squares or masks, B images, C channels, H x W pixels of a frame, S x S of a crop or a mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .arrays import to_device

# What cv2.resize takes for the weight 1, and what cv2.warpAffine rounds positions to.
RESIZE_WEIGHT = 2048
PIXEL_FRACTIONS = 32


def crop_squares(images: Tensor, index: Sequence[int], squares: Tensor, size: int) -> Tensor:
    """Cut squares out of frames; see ``crop.crop_squares``.

    Args:
        images: (B, C, H, W) float.
        index: K numbers of frames.
        squares: (K, 3) int64.
        size: S.

    Returns:
        (K, C, S, S) float32.
    """
    _, _, height, width = images.shape
    images = _chosen(images, index).float()
    squares = squares.float()
    left, top, side = squares.unbind(dim=1)
    rows = _crop_weights(top, side, size, height)
    columns = _crop_weights(left, side, size, width)
    return _resample(images, rows, columns)


def paste_squares(crops: Tensor, squares: Tensor, height: int, width: int) -> Tensor:
    """Put one-channel crops back into frames; see ``crop.paste_squares``.

    Args:
        crops: (K, S, S) float.
        squares: (K, 3) int64.
        height, width: H and W.

    Returns:
        (K, H, W) float32.
    """
    size = crops.shape[1]
    squares = squares.float()
    left, top, side = squares.unbind(dim=1)
    rows = _paste_weights(top, side, size, height)
    columns = _paste_weights(left, side, size, width)
    crops = crops[:, None].float()
    pasted = _resample(crops, rows, columns)
    return pasted[:, 0]


def cut_windows(image: Tensor, windows: Tensor, colors: Tensor, size: int) -> Tensor:
    """Cut windows out of a frame; see ``siamese_geometry.cut_window``.

    Args:
        image: (C, H, W) float, whole values from 0 to 255.
        windows: (K, 3) int64, x, y, side.
        colors: (K, C), of each what is seen outside the frame.
        size: S.

    Returns:
        (K, C, S, S), whole values from 0 to 255.
    """
    x, y, side = windows.unbind(dim=1)

    # (K, S): the lines before and behind each line of the crop, and the share of the second
    first, share = _window_lines(side, size)
    last_line = side[:, None] - 1
    before = first.clamp(min=0).minimum(last_line)
    behind = (first + 1).clamp(min=0)
    behind = behind.minimum(last_line)
    upper = before + y[:, None]
    lower = behind + y[:, None]
    left = before + x[:, None]
    right = behind + x[:, None]

    # their weights; OpenCV does not blend beyond the first and the last column
    is_between = (first >= 0) & (first < last_line)
    share_across = torch.where(is_between, share, 0)
    left_weight, right_weight = _fixed_point(share_across)
    upper_weight, lower_weight = _fixed_point(share)

    # (K, C, S, S): bilinear in whole numbers as OpenCV's, first along the lines
    frame = _FilledFrame(image.int(), colors.int())
    left_weight = left_weight[:, None, None, :]
    right_weight = right_weight[:, None, None, :]
    above = frame.at(upper, left) * left_weight
    above = above + frame.at(upper, right) * right_weight
    below = frame.at(lower, left) * left_weight
    below = below + frame.at(lower, right) * right_weight

    # then from line to line
    upper_weight = upper_weight[:, None, :, None]
    lower_weight = lower_weight[:, None, :, None]
    from_above = upper_weight * (above >> 4)
    from_below = lower_weight * (below >> 4)
    total = (from_above >> 16) + (from_below >> 16)
    return ((total + 2) >> 2).float()


def paste_masks(
    masks: Tensor, areas: Tensor, height: int, width: int, outside: float = -1.0
) -> Tensor:
    """Put the masks of areas into frames; see ``siamese_geometry.paste_mask``.

    Args:
        masks: (K, S, S) float.
        areas: (K, 3) float64, left, top and side in frame pixels.
        height, width: H and W.
        outside: value outside the areas.

    Returns:
        (K, H, W) float32.
    """
    size = masks.shape[1]
    left, top, side = areas.double().unbind(dim=1)
    pixels = side / size
    rows = _affine_weights(top, pixels, size, height)
    columns = _affine_weights(left, pixels, size, width)
    # with ``outside`` as the zero, what is outside has no weight
    masks = masks[:, None].float()
    pasted = _resample(masks - outside, rows, columns)
    return pasted[:, 0] + outside


def paste_in_boxes(masks: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    """Resample masks of boxes to the pixels of the frame; see ``masks.paste_in_box``.

    Args:
        masks: (K, S, S) float.
        boxes: (K, 4) float xyxy.
        height, width: H and W.

    Returns:
        (K, H, W) float32, 0 outside of the boxes.
    """
    size = masks.shape[1]
    x1, y1, x2, y2 = boxes.float().unbind(dim=1)
    rows = _box_weights(y1, y2, size, height)
    columns = _box_weights(x1, x2, size, width)
    masks = masks[:, None].float()
    pasted = _resample(masks, rows, columns)
    return pasted[:, 0]


def cut_cells(features: Tensor, index: Tensor, corners: Tensor, size: int) -> Tensor:
    """Cut squares of cells out of feature maps; what lies outside is 0.

    Args:
        features: (B, C, H, W).
        index: (P,) of each of the squares its map.
        corners: (P, 2) of each its first row and first column, which may be negative.
        size: cells in a row of a square.

    Returns:
        (P, C, size, size).
    """
    _, _, height, width = features.shape
    steps = torch.arange(size, device=features.device)
    rows = corners[:, :1] + steps
    columns = corners[:, 1:] + steps

    # (P, size, size): which cells there are
    rows = rows[:, :, None]
    columns = columns[:, None, :]
    has_row = (rows >= 0) & (rows < height)
    has_column = (columns >= 0) & (columns < width)
    is_inside = has_row & has_column

    # (P, size, size, C)
    nearest_rows = rows.clamp(0, height - 1)
    nearest_columns = columns.clamp(0, width - 1)
    maps = features.permute(0, 2, 3, 1)
    cells = maps[index[:, None, None], nearest_rows, nearest_columns]
    cells = torch.where(is_inside[..., None], cells, 0)
    return cells.permute(0, 3, 1, 2)


class _FilledFrame:
    """A frame (C, H, W) around which windows of K colors are seen."""

    def __init__(self, image: Tensor, colors: Tensor) -> None:
        self.image = image
        self.colors = colors[:, :, None, None]
        _, self.height, self.width = image.shape

    def at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(K, C, S, S): the pixels in rows (K, S) and columns (K, S)."""
        rows = rows[:, :, None]
        columns = columns[:, None, :]
        has_row = (rows >= 0) & (rows < self.height)
        has_column = (columns >= 0) & (columns < self.width)
        is_inside = has_row & has_column

        # (C, K, S, S) -> (K, C, S, S)
        nearest_rows = rows.clamp(0, self.height - 1)
        nearest_columns = columns.clamp(0, self.width - 1)
        pixels = self.image[:, nearest_rows, nearest_columns]
        pixels = pixels.transpose(0, 1)
        return torch.where(is_inside[:, None], pixels, self.colors)


def _chosen(images: Tensor, index: Sequence[int]) -> Tensor:
    """The images of an index, (K or 1, C, H, W); one image for all is not repeated."""
    numbers = list(index)
    if len(images) == 1 or numbers == list(range(len(images))):
        return images
    return images[to_device(numbers, images, torch.long)]


def _resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Weigh the lines and columns of images.

    Args:
        images: (K or 1, C, H, W) float32.
        rows: (K, h, H).
        columns: (K, w, W).

    Returns:
        (K, C, h, w).
    """
    rows = rows[:, None]
    columns = columns[:, None]
    across = columns.transpose(-1, -2)
    with torch.autocast(images.device.type, enabled=False):
        lines = images @ across
        return rows @ lines


def _crop_weights(start: Tensor, side: Tensor, size: int, length: int) -> Tensor:
    """Weights with which lines of the frame make the lines of a crop; antialiased.

    Args:
        start, side: (K,) of the squares.
        size: S.
        length: lines of the frame.

    Returns:
        (K, S, length), 0 for lines outside the square.
    """
    # (K, S): the middles of the crop's lines in the square, and how far each reaches
    scale = side / size
    steps = torch.arange(size, device=start.device) + 0.5
    center = scale[:, None] * steps
    reach = scale.clamp(min=1)[:, None]

    # (K, S, length): triangles around them
    lines = torch.arange(length, device=start.device)
    lines = lines - start[:, None]
    middles = lines[:, None, :] + 0.5
    distance = middles - center[..., None]
    weights = 1 - distance.abs() / reach[..., None]
    weights = weights.clamp(min=0)
    is_in_square = (lines >= 0) & (lines < side[:, None])
    weights = weights * is_in_square[:, None, :]

    # The sum over the lines of the square, also of those outside the frame, which are 0.
    total = _triangle_sum(center, reach, side[:, None])
    return weights / total[..., None]


def _triangle_sum(center: Tensor, reach: Tensor, side: Tensor) -> Tensor:
    """The sum of the triangle around ``center`` at the middles of lines 0 to ``side``: (K, S)."""
    # line numbers: the first and the last that is reached, and the last one before the center
    place = center - 0.5
    middle = place.floor()
    first = (place - reach).ceil()
    first = first.clamp(min=0)
    last = (place + reach).floor()
    last = last.minimum(side - 1)

    # Weights go up evenly to the center: their sum is their number times the mean of the ends.
    before = middle - first + 1
    mean_distance = place - (first + middle) / 2
    sum_before = before * (1 - mean_distance / reach)

    # and down evenly after it
    after = last - middle
    mean_distance = (middle + 1 + last) / 2 - place
    sum_after = after * (1 - mean_distance / reach)
    return sum_before + sum_after


def _paste_weights(start: Tensor, side: Tensor, size: int, length: int) -> Tensor:
    """Weights with which the lines of a crop make lines of the frame; antialiased.

    Args:
        start, side: (K,) of the squares.
        size: S.
        length: lines of the frame.

    Returns:
        (K, length, S), 0 for lines outside the square.
    """
    # (K, length): the middles of the frame's lines in the crop
    scale = size / side
    lines = torch.arange(length, device=start.device)
    lines = lines - start[:, None]
    center = scale[:, None] * (lines + 0.5)
    reach = scale.clamp(min=1)
    reach = reach[:, None, None]

    # (K, length, S): triangles around them, whose sum is 1
    steps = torch.arange(size, device=start.device)
    distance = steps + 0.5 - center[..., None]
    weights = 1 - distance.abs() / reach
    weights = weights.clamp(min=0)
    total = weights.sum(dim=-1, keepdim=True)
    weights = weights / total.clamp(min=1e-6)
    is_in_square = (lines >= 0) & (lines < side[:, None])
    return weights * is_in_square[..., None]


def _window_lines(side: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where in a window of ``side`` the lines of its crop lie, as OpenCV resizes.

    Args:
        side: (K,) int64.
        size: S.

    Returns:
        (K, S) each: the line before, from -1, and how far behind it; int64 and float32.
    """
    scale = side[:, None].double() / size
    steps = torch.arange(size, device=side.device, dtype=torch.float64)
    position = (steps + 0.5) * scale - 0.5
    position = position.float()
    first = position.floor()
    return first.long(), position - first


def _fixed_point(share: Tensor) -> tuple[Tensor, Tensor]:
    """The weights 1 - share and share, in the whole numbers that OpenCV takes for them."""
    first = (1 - share) * RESIZE_WEIGHT
    second = share * RESIZE_WEIGHT
    first = first.round()
    second = second.round()
    return first.int(), second.int()


def _affine_weights(start: Tensor, pixels: Tensor, size: int, length: int) -> Tensor:
    """Weights with which the lines of a mask make lines of the frame, as ``paste_mask`` has them.

    Args:
        start: (K,) where the masks begin, in frame pixels; float64.
        pixels: (K,) frame pixels per mask pixel; float64.
        size: S.
        length: lines of the frame.

    Returns:
        (K, length, S) float32.
    """
    # (K, length): where the frame's lines are in the mask; positions are rounded as OpenCV does
    shrink = (length - 1) / length
    lines = torch.arange(length, device=start.device, dtype=torch.float64)
    in_frame = lines / shrink - start[:, None]
    position = in_frame / pixels[:, None]
    position = (position * PIXEL_FRACTIONS).round()
    position = position / PIXEL_FRACTIONS
    return _linear_weights(position.float(), size)


def _box_weights(start: Tensor, end: Tensor, size: int, length: int) -> Tensor:
    """Weights with which the lines of a mask make lines of the frame: (K, length, S)."""
    side = (end - start).clamp(min=1e-6)
    cells_per_pixel = size / side
    lines = torch.arange(length, device=start.device)
    in_box = lines + 0.5 - start[:, None]
    position = in_box * cells_per_pixel[:, None] - 0.5
    return _linear_weights(position, size)


def _linear_weights(position: Tensor, size: int) -> Tensor:
    """Weights of linear interpolation between whole numbers: (K, n) -> (K, n, size)."""
    numbers = torch.arange(size, device=position.device)
    distance = position[..., None] - numbers
    weights = 1 - distance.abs()
    return weights.clamp(min=0)
