"""Deformations of masks: what makes a mask a guide that is not worth copying.

Perazzi et al., Learning Video Object Segmentation from Static Images (MaskTrack), CVPR 2017,
section 3.1: a net that is to carry masks from frame to frame learns from masks that were scaled and
shifted a little, bent by a thin-plate spline, and coarsened. Masks are (H, W) bool; x, y are pixel
indices, column and row; w, h are the extent of the object's tight box in pixels. Every function
returns a new mask of the same size, draws only from the generator that it is given, and returns an
empty mask for an empty one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from mmvos.structures.rle import Box, tight_box

if TYPE_CHECKING:
    from scipy.interpolate import RBFInterpolator

Mask = NDArray[np.bool_]
Image = NDArray[np.uint8]

_STEP = 8  # pixels between two points at which a spline is evaluated
_POINT_DRAWS = 8  # of which the one with the widest spread is taken
_MAX_SLOPE = 0.3  # largest offset over the spread of the points
_PLACE_DRAWS = 30
_ONLINE_DILATION = 5  # pixels


def filled_box(mask: Mask, rng: np.random.Generator, jitter: float = 0.05) -> Mask:
    """Return the filled tight box, its sides moved a little.

    Args:
        mask: the object.
        rng: draws the moves.
        jitter: each side moves by up to this share of w or h, in or out; at least one pixel of the
            box is left.
    """
    filled = np.zeros_like(mask)
    box = tight_box(mask)
    if box is None:
        return filled
    x1, y1, x2, y2 = box
    w = x2 - x1
    h = y2 - y1
    moves = rng.uniform(-jitter, jitter, 4) * (w, h, w, h)
    moved = np.array(box) + moves
    left, top, right, bottom = np.rint(moved).astype(int)

    # At least the pixel in the corner, inside the picture.
    height, width = mask.shape
    left = min(max(left, 0), width - 1)
    top = min(max(top, 0), height - 1)
    right = max(right, left + 1)
    bottom = max(bottom, top + 1)
    filled[top:bottom, left:right] = True
    return filled


def affine_deform(
    mask: Mask, rng: np.random.Generator, scale: float = 0.05, shift: float = 0.1
) -> Mask:
    """Return the object scaled and shifted a little.

    Args:
        mask: the object.
        rng: draws scale and shift.
        scale: the factor around the box's center lies between 1 - x and 1 + x.
        shift: largest shift, over w in x and over h in y.
    """
    box = tight_box(mask)
    if box is None:
        return mask.copy()
    x1, y1, x2, y2 = box
    w = x2 - x1
    h = y2 - y1
    factor = 1 + rng.uniform(-scale, scale)
    dx, dy = rng.uniform(-shift, shift, 2) * (w, h)

    # The center of the box stays where it is before the shift.
    center_x = (x1 + x2 - 1) / 2
    center_y = (y1 + y2 - 1) / 2
    offset_x = (1 - factor) * center_x + dx
    offset_y = (1 - factor) * center_y + dy
    matrix = np.array(
        [
            [factor, 0, offset_x],
            [0, factor, offset_y],
        ]
    )

    height, width = mask.shape
    pixels = mask.view(np.uint8)
    warped = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_NEAREST)
    return warped.view(np.bool_)


def tps_deform(mask: Mask, rng: np.random.Generator, points: int = 5, shift: float = 0.1) -> Mask:
    """Return the object bent by a thin-plate spline that moves random points of its boundary.

    The boundary is the ring of pixels just outside the object. Points that lie close together or
    nearly on a line move less, so that the plane does not fold. A mask whose ring has fewer than
    ``points`` pixels, or is a line, is returned as it is.

    Args:
        mask: the object.
        rng: draws points and moves.
        points: number of points.
        shift: largest move of a point, over w in x and over h in y.
    """
    box = tight_box(mask)
    if box is None:
        return mask.copy()
    ring = _ring(mask, box)
    if len(ring) < points:
        return mask.copy()

    # Of several draws the points that are spread best.
    x1, y1, x2, y2 = box
    size = np.array([x2 - x1, y2 - y1])
    draws = []
    spreads = []
    for _ in range(_POINT_DRAWS):
        drawn = ring[rng.choice(len(ring), points, replace=False)]
        draws.append(drawn)
        spreads.append(_spread(drawn / size))
    best = int(np.argmax(spreads))

    # (points, 2): their moves, smaller where they lie close together
    moves = rng.uniform(-shift, shift, (points, 2))
    largest_move = max(float(np.abs(moves).max()), 1e-6)
    moves *= min(1, _MAX_SLOPE * spreads[best] / largest_move)
    source = draws[best]
    target = source + moves * size
    return _warp_by_spline(mask, source, target, box)


def thin_plate_spline(source: NDArray[np.float64], target: NDArray[np.float64]) -> RBFInterpolator:
    """Return the spline with kernel r^2 log r^2 that takes ``source`` exactly to ``target``.

    There is no regularization.

    Args:
        source, target: (N, 2).

    Returns:
        A function from (M, 2) points to (M, 2) points.

    Raises:
        LinAlgError: the source points lie on a line, or two of them coincide.
    """
    from scipy.interpolate import RBFInterpolator  # only trainings bend masks

    # scipy's kernel is r^2 log r; the factor 2 goes into the weights.
    return RBFInterpolator(source, target, kernel='thin_plate_spline', degree=1)


def dilate_disk(mask: Mask, radius: float) -> Mask:
    """Return all pixels at most ``radius`` pixels (Euclidean) from the object.

    A single pixel becomes 81 for a radius of 5.

    Args:
        mask: the object.
        radius: below 1 nothing changes.
    """
    grown = mask.copy()
    box = tight_box(mask)
    if box is None or radius < 1:
        return grown
    # Only the part of the picture that it can reach.
    window = _window(box, int(radius), mask.shape)
    part = mask[window].view(np.uint8)
    dilated = cv2.dilate(part, disk(radius))
    grown[window] = dilated.view(np.bool_)
    return grown


@functools.lru_cache(maxsize=64)
def disk(radius: float) -> NDArray[np.uint8]:
    """Return the exact Euclidean disk of ones.

    Args:
        radius: in pixels.

    Returns:
        (S, S) in a square of zeros, S = 2 * floor(radius) + 1.
    """
    reach = int(radius)
    offsets = np.arange(-reach, reach + 1)
    squares = offsets**2
    distances = squares[:, None] + squares
    is_inside = distances <= radius * radius
    pixels: NDArray[np.uint8] = is_inside.astype(np.uint8)
    return pixels


def cut_part(
    mask: Mask, rng: np.random.Generator, min_part: float = 0.3, max_part: float = 0.85
) -> Mask:
    """Return the part of a mask on one side of a line of random direction.

    Args:
        mask: the object.
        rng: draws the line.
        min_part, max_part: bounds of the share of the pixels that is left.
    """
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return mask.copy()
    # How far each pixel of the object lies in the direction, and the line's place in it.
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    share = rng.uniform(min_part, max_part)
    line = np.quantile(along, share)

    is_kept = along <= line
    part = np.zeros_like(mask)
    part[rows[is_kept], columns[is_kept]] = True
    return part


def move_away(
    guide: Mask,
    avoid: Mask,
    rng: np.random.Generator,
    within: Box,
    reach: float = 1.3,
    scale: tuple[float, float] = (0.3, 1.0),
) -> Mask | None:
    """Return the object of ``guide``, smaller and somewhere else.

    A square around its new place has no pixel of ``avoid``.

    Args:
        guide: what is moved.
        avoid: the object, in the frame that is to be segmented.
        rng: draws scale and place.
        within: where all of it is placed, a box inside the picture.
        reach: half the square's side over the longer side of the moved object's box.
        scale: bounds of the factor by which the object is scaled.

    Returns:
        The moved mask, None where no place was found or ``guide`` is empty.
    """
    box = tight_box(guide)
    if box is None:
        return None
    x1, y1, x2, y2 = box
    for _ in range(_PLACE_DRAWS):
        # A size that fits,
        factor = rng.uniform(*scale)
        w = max(round((x2 - x1) * factor), 1)
        h = max(round((y2 - y1) * factor), 1)
        max_left = within[2] - w
        max_top = within[3] - h
        if max_left < within[0] or max_top < within[1]:
            continue

        # a place,
        left = int(rng.integers(within[0], max_left + 1))
        top = int(rng.integers(within[1], max_top + 1))

        # far enough from the object.
        half = reach * max(w, h)
        columns = _span(left + w / 2, half)
        rows = _span(top + h / 2, half)
        if avoid[rows, columns].any():
            continue
        part = guide[y1:y2, x1:x2].view(np.uint8)
        small = cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA)
        moved = np.zeros_like(guide)
        moved[top : top + h, left : left + w] = small > 0
        return moved
    return None


def online_set(
    image: Image, mask: Mask, rng: np.random.Generator
) -> Iterator[tuple[Image, Mask, Mask]]:
    """Yield training samples of the one annotated frame of a video (MaskTrack, section 3.2).

    The frame as it is and turned by 2, 4, ... 20 degrees to both sides, each also mirrored, makes
    42 images; each comes with two guides, one by ``affine_deform`` and one by ``tps_deform`` and a
    dilation of 5 pixels. Of a turned frame the largest upright rectangle without a gap is shown, at
    the size of the frame. Another call draws other guides.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W) bool.
        rng: draws the guides.

    Yields:
        84 times image, mask and guide, all of size H x W.
    """
    affine = affine_deform(mask, rng)
    bent = dilate_disk(tps_deform(mask, rng), _ONLINE_DILATION)

    # 0, 2, -2, 4, -4, ... 20, -20 degrees
    angles = [0]
    for degrees in range(2, 21, 2):
        angles += [degrees, -degrees]
    for angle in angles:
        turned_image = _turned(image, angle, cv2.INTER_CUBIC)
        turned = []
        for m in (mask, affine, bent):
            pixels = _turned(m.view(np.uint8), angle, cv2.INTER_NEAREST)
            turned.append(pixels.view(np.bool_))

        # As it is and mirrored.
        for step in (1, -1):
            shown = np.ascontiguousarray(turned_image[:, ::step])
            target, *guides = (np.ascontiguousarray(m[:, ::step]) for m in turned)
            for guide in guides:
                yield shown, target, guide


def largest_rectangle(width: float, height: float, degrees: float) -> tuple[float, float]:
    """Return width and height of the largest upright rectangle inside a turned rectangle.

    Args:
        width, height: of the rectangle that is turned.
        degrees: -90 to 90.
    """
    sine = abs(math.sin(math.radians(degrees)))
    cosine = math.cos(math.radians(degrees))
    longer = max(width, height)
    shorter = min(width, height)
    if shorter <= 2 * sine * cosine * longer or abs(sine - cosine) < 1e-9:
        # Two corners touch the longer sides, the others lie on the middle line.
        half = shorter / 2
        if width >= height:
            return half / sine, half / cosine
        return half / cosine, half / sine

    # Each corner touches a side.
    double = cosine * cosine - sine * sine
    inner_width = (width * cosine - height * sine) / double
    inner_height = (height * cosine - width * sine) / double
    return inner_width, inner_height


def _turned(picture: NDArray[np.uint8], degrees: float, interpolation: int) -> NDArray[np.uint8]:
    """The largest upright part of a turned picture (H, W[, 3]), resized to H x W."""
    if degrees == 0:
        return picture
    height, width = picture.shape[:2]
    inner_width, inner_height = largest_rectangle(width, height, degrees)
    sine = math.sin(math.radians(degrees))
    cosine = math.cos(math.radians(degrees))

    # (2, 3): from the result back to the picture, around its center
    shrinkage = (inner_width / width, inner_height / height)
    linear = np.array([[cosine, -sine], [sine, cosine]]) * shrinkage
    center = np.array([width - 1, height - 1]) / 2
    matrix = np.column_stack([linear, center - linear @ center])
    turned = cv2.warpAffine(
        picture,
        matrix,
        (width, height),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return turned.astype(np.uint8, copy=False)


def _span(center: float, half: float) -> slice:
    """The pixels of a line at most ``half`` from a center."""
    return slice(max(int(center - half), 0), int(center + half) + 2)


def _window(box: Box, margin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a box with a margin, inside the picture."""
    x1, y1, x2, y2 = box
    height, width = shape
    top = max(y1 - margin, 0)
    bottom = min(y2 + margin, height)
    left = max(x1 - margin, 0)
    right = min(x2 + margin, width)
    return slice(top, bottom), slice(left, right)


def _ring(mask: Mask, box: Box) -> NDArray[np.int64]:
    """(N, 2) x, y of the pixels outside the object that touch it."""
    rows, columns = _window(box, 1, mask.shape)
    inside = mask[rows, columns]
    grown = cv2.dilate(inside.view(np.uint8), disk(1)).view(np.bool_)
    y, x = np.nonzero(grown & ~inside)

    # From the window to the picture.
    x = x + columns.start
    y = y + rows.start
    return np.stack([x, y], axis=1)


def _spread(points: NDArray[np.float64]) -> float:
    """How far N points lie apart.

    Returns:
        The smallest distance between two of them, or their root mean square distance to a line,
        whichever is smaller.
    """
    # (N, N)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    pairs = np.triu_indices(len(points), 1)
    smallest = float(distances[pairs].min())

    # The last singular value: how thick the cloud of points is.
    deviations = points - points.mean(axis=0)
    singular_values = np.linalg.svd(deviations, compute_uv=False)
    thickness = float(singular_values[-1] / math.sqrt(len(points)))
    return min(smallest, thickness)


def _warp_by_spline(
    mask: Mask, source: NDArray[np.int64], target: NDArray[np.float64], box: Box
) -> Mask:
    """Warp the object so that the points ``source`` come to ``target``, both (N, 2).

    Backward: every pixel near the object looks up where the spline from target to source takes it.
    """
    x1, y1, x2, y2 = box
    rows, columns = _window(box, max(x2 - x1, y2 - y1) // 4 + 2, mask.shape)
    height = rows.stop - rows.start
    width = columns.stop - columns.start

    # The spline is evaluated at every eighth pixel: at the centers of cells, where cv2.resize puts
    # its values.
    count_y = math.ceil(height / _STEP)
    count_x = math.ceil(width / _STEP)
    grid_y, grid_x = np.mgrid[:count_y, :count_x] * _STEP + (_STEP - 1) / 2
    grid_x = grid_x + columns.start
    grid_y = grid_y + rows.start

    # (count_y * count_x, 2)
    grid = np.stack([grid_x, grid_y], axis=-1).reshape(-1, 2)
    try:
        spline = thin_plate_spline(target, source.astype(np.float64))
    except LinAlgError:
        return mask.copy()
    offsets = spline(grid) - grid

    # (height, width, 2): in between it is interpolated
    coarse = offsets.reshape(count_y, count_x, 2).astype(np.float32)
    whole_cells = (count_x * _STEP, count_y * _STEP)
    fine = cv2.resize(coarse, whole_cells, interpolation=cv2.INTER_LINEAR)[:height, :width]
    pixel_y, pixel_x = np.mgrid[rows, columns].astype(np.float32)
    from_x = pixel_x + fine[..., 0]
    from_y = pixel_y + fine[..., 1]
    warped = cv2.remap(mask.view(np.uint8), from_x, from_y, cv2.INTER_NEAREST)
    moved = np.zeros_like(mask)
    moved[rows, columns] = warped.view(np.bool_)
    return moved
