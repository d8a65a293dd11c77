"""Geometry of SiamMask's windows: the one home of 127 pixels, stride 8 and the border of 4 cells.

Wang et al., Fast Online Object Tracking and Segmentation (SiamMask), CVPR 2019, with the rounding,
colors and resampling that the published weights were made with. Training pairs (``CropPair``), the
trackers and their networks all take their numbers from here.

A *template window* shows an object with its context in 127 x 127 pixels. A *search window* shows
more around it at the same scale, mostly in 255 x 255 pixels. Where a window lies in a frame is
written as whole frame pixels (x, y, side); it may reach outside the frame. Cells of the network
are 8 window pixels apart.

Letters for shapes: H x W pixels of a frame, S x S of a window or a mask. Arrays are torch's or
numpy's, see ``arrays``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from .arrays import Array, array_namespace, as_numpy

if TYPE_CHECKING:
    from torch import Tensor

Window = tuple[int, int, int]
Color = tuple[int, int, int]
Number = TypeVar('Number', 'float', 'Tensor')

TEMPLATE_SIZE = 127  # pixels of a template window, and of the mask that a cell predicts
STRIDE = 8  # window pixels from cell to cell
# The mask of cell (row, column) of the response begins at pixel 8 (row - 4), 8 (column - 4) of the
# search window. The cell is cell row + 3 of the backbone, at pixel 8 row + 31: the mask's middle.
BORDER_CELLS = 4
# Cell m of the backbone sees pixel 8 m + 7: the middle of cell 0 is 7.5 pixels from the edge.
FIRST_CELL = 7.5
# Maps with fewer cells are those of template windows and of small training windows (127 and 143
# pixels); both lose their outer cells.
WHOLE_SEARCH_CELLS = 20


def context_area(width: Number, height: Number) -> Number:
    """Return the area of the square that shows an object with its context.

    Args:
        width, height: of the object's box; numbers, or tensors of one shape.

    Returns:
        (w + c)(h + c) with the context c = (w + h) / 2, in the same pixels.
    """
    context = (width + height) / 2
    return (width + context) * (height + context)


def context_side(width: float, height: float) -> float:
    """Return the side of the square that shows an object with its context: a template window.

    Args:
        width, height: of the object's box.

    Returns:
        The side in the same pixels, not rounded.
    """
    return math.sqrt(context_area(width, height))


def search_side(side: float, search_size: int) -> float:
    """Return the side of a search window in frame pixels.

    Args:
        side: of the template window in frame pixels, not rounded.
        search_size: pixels of the search window, which has the template window's scale.

    Returns:
        The side in frame pixels, not rounded.
    """
    scale = TEMPLATE_SIZE / side
    margin = (search_size - TEMPLATE_SIZE) / 2
    return side + 2 * (margin / scale)


def response_cells(search_size: int) -> int:
    """Return n, the cells in a row of the response map: 255 pixels have 25 cells, 191 have 17."""
    return (search_size - TEMPLATE_SIZE) // STRIDE + 1 + 2 * BORDER_CELLS


def box_center(box: Sequence[float]) -> tuple[float, float]:
    """Return the center of a box, to a millionth of a pixel.

    A center that went into the corners of a box comes out of them with an error of 1e-14 of its
    size. That must not decide to which side ``window_around`` rounds a half.

    Args:
        box: xyxy in frame pixels.

    Returns:
        x and y.
    """
    x1, y1, x2, y2 = box
    x = (x1 + x2) / 2
    y = (y1 + y2) / 2
    return round(x, 6), round(y, 6)


def window_around(center: tuple[float, float], side: float) -> Window:
    """Return the window around a point; halves are rounded to even, as the published code does.

    Args:
        center: (x, y) in frame pixels.
        side: in frame pixels, not rounded.
    """
    x, y = center
    size = max(round(side), 1)
    half = (size + 1) / 2
    left = round(x - half)
    top = round(y - half)
    return left, top, size


def cut_windows(
    image: Array, windows: Sequence[Window], colors: Sequence[Color], size: int
) -> NDArray[np.uint8]:
    """Cut windows out of a frame; see ``cut_window``.

    Args:
        image: (3, H, W), from 0 to 255, in the memory of the CPU.
        windows: K of them.
        colors: of each what is seen outside the frame.
        size: S.

    Returns:
        (K, S, S, 3).
    """
    # The part of the frame that the windows show together.
    _, height, width = image.shape
    rows = visible_span([(y, side) for _, y, side in windows], height)
    columns = visible_span([(x, side) for x, _, side in windows], width)
    pixels = _whole_pixels(image[:, rows, columns])

    crops = []
    for (x, y, side), color in zip(windows, colors, strict=True):
        # (S, S, 3): the window in this part
        left = x - columns.start
        top = y - rows.start
        crops.append(cut_window(pixels, (left, top, side), color, size))
    return np.stack(crops)


def cut_window(
    image: NDArray[np.uint8], window: Window, color: Color, size: int
) -> NDArray[np.uint8]:
    """Cut a window out of a frame, bilinearly without antialiasing.

    Args:
        image: (H, W, 3).
        window: where.
        color: what is seen outside the frame.
        size: S.

    Returns:
        (S, S, 3).
    """
    x, y, side = window
    height, width = image.shape[:2]
    rows = visible_span([(y, side)], height)
    columns = visible_span([(x, side)], width)
    part = image[rows, columns]
    is_inside = part.shape[:2] == (side, side)
    if not is_inside:
        # The window reaches outside the frame, which is seen in one color.
        whole = np.empty((side, side, 3), dtype=np.uint8)
        whole[:] = color
        rows = slice(rows.start - y, rows.stop - y)
        columns = slice(columns.start - x, columns.stop - x)
        whole[rows, columns] = part
        part = whole
    if side == size:
        return part.copy()
    resized = cv2.resize(part, (size, size))
    return np.asarray(resized, dtype=np.uint8)


def visible_span(spans: Sequence[tuple[int, int]], length: int) -> slice:
    """Return the part of 0 to ``length`` that spans (begin, length) touch together."""
    # from the first to the last of all spans
    first = min(begin for begin, _ in spans)
    last = max(begin + size for begin, size in spans)

    # what of that lies in 0 to ``length``, which may be nothing
    start = max(first, 0)
    start = min(start, length)
    end = min(last, length)
    end = max(end, start)
    return slice(start, end)


def _whole_pixels(image: Array) -> NDArray[np.uint8]:
    """(3, h, w) float -> (h, w, 3) whole values."""
    xp = array_namespace(image)
    pixels = xp.round(image).clip(0, 255)
    planes = as_numpy(xp.astype(pixels, xp.uint8))
    _, height, width = planes.shape
    whole = np.empty((height, width, 3), dtype=np.uint8)
    # Windows may lie outside the frame, then there is nothing of it.
    if whole.size > 0:
        # OpenCV brings the colors of a pixel together in a third of numpy's time.
        cv2.merge(list(planes), dst=whole)
    return whole


def mean_color(image: Array) -> Color:
    """Return the mean color of a frame, truncated: what is seen around it by objects that start in
    it.

    Args:
        image: (3, H, W), from 0 to 255.
    """
    xp = array_namespace(image)
    _, height, width = image.shape
    pixels = xp.round(image).clip(0, 255)

    # (3,): the mean in whole numbers
    total = xp.sum(xp.astype(pixels, xp.int64), axis=(1, 2))
    mean = total // (height * width)
    blue, green, red = mean.tolist()
    return blue, green, red


def mask_corner(row: Number, column: Number) -> tuple[Number, Number]:
    """Return where in the search window the mask of a cell begins.

    Args:
        row, column: of the cell.

    Returns:
        Left and top in window pixels.
    """
    left = (column - BORDER_CELLS) * STRIDE
    top = (row - BORDER_CELLS) * STRIDE
    return left, top


def mask_area(
    center: tuple[Number, Number], side: Number, cell: tuple[Number, Number], search_size: int
) -> tuple[Number, Number, Number]:
    """Return where in a frame the mask of 127 window pixels lies that a cell predicts.

    The published code takes the window to be centered exactly, though ``window_around`` rounds its
    corner, half a pixel farther to the upper left.

    Args:
        center: of the search window, in frame pixels, before rounding.
        side: of the search window in frame pixels.
        cell: row and column; numbers as the others, or tensors of one shape.
        search_size: pixels of the search window.

    Returns:
        Left, top and side in frame pixels.
    """
    x, y = center
    row, column = cell

    # frame pixels per window pixel
    scale = side / search_size

    # the mask's place in the window, added to the window's corner
    left_in_window, top_in_window = mask_corner(row, column)
    left = x - side / 2 + left_in_window * scale
    top = y - side / 2 + top_in_window * scale
    return left, top, TEMPLATE_SIZE * scale


def paste_mask(
    mask: NDArray[np.float32],
    area: tuple[float, float, float],
    height: int,
    width: int,
    outside: float = -1.0,
) -> NDArray[np.float32]:
    """Put the mask of an area into a frame, bilinearly.

    The middle of mask pixel i comes to the middle of frame pixel (left + i * side / S) (W - 1) / W,
    and so down the rows: the published code shrinks the frame by one pixel, and so does this.

    Args:
        mask: (S, S).
        area: left, top and side in frame pixels; it may reach outside the frame.
        height, width: H and W.
        outside: value outside the area.

    Returns:
        (H, W).
    """
    left, top, side = area
    pixels = side / mask.shape[0]  # frame pixels per mask pixel
    shrink_x = (width - 1) / width
    shrink_y = (height - 1) / height
    x_row = [shrink_x * pixels, 0, left * shrink_x]
    y_row = [0, shrink_y * pixels, top * shrink_y]
    pasted = cv2.warpAffine(
        mask,
        np.array([x_row, y_row]),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )
    return np.asarray(pasted, dtype=np.float32)
