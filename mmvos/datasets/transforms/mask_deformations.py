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

import cv2
import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

Mask = NDArray[np.bool_]
Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]

_STEP = 8  # pixels between two points at which a spline is evaluated
_POINT_DRAWS = 8  # of which the one with the widest spread is taken
_STEEPEST = 0.3  # largest offset over the spread of the points
_PLACE_DRAWS = 30
_ONLINE_DILATION = 5  # pixels


def box_of(mask: Mask) -> Box | None:
    """Tight box x1, y1, x2, y2 (x2, y2 one past the last pixel); None for an empty mask."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    return (x, y, x + w, y + h) if w else None


def filled_box(mask: Mask, rng: np.random.Generator, jitter: float = 0.05) -> Mask:
    """The filled tight box, each side of it moved by up to ``jitter`` of w or h in or out, at least
    one pixel of it left.
    """
    filled = np.zeros_like(mask)
    box = box_of(mask)
    if box is None:
        return filled
    height, width = mask.shape
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    moved = np.rint(np.array(box) + rng.uniform(-jitter, jitter, 4) * (w, h, w, h)).astype(int)
    left, top = min(max(moved[0], 0), width - 1), min(max(moved[1], 0), height - 1)
    filled[top : max(moved[3], top + 1), left : max(moved[2], left + 1)] = True
    return filled


def affine_deform(
    mask: Mask, rng: np.random.Generator, scale: float = 0.05, shift: float = 0.1
) -> Mask:
    """The object scaled by 1 +- up to ``scale`` around its box's centre and shifted by up to
    ``shift`` of w in x, of h in y.
    """
    box = box_of(mask)
    if box is None:
        return mask.copy()
    x1, y1, x2, y2 = box
    factor = 1 + rng.uniform(-scale, scale)
    dx, dy = rng.uniform(-shift, shift, 2) * (x2 - x1, y2 - y1)
    center_x, center_y = (x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2
    matrix = np.array(
        [[factor, 0, (1 - factor) * center_x + dx], [0, factor, (1 - factor) * center_y + dy]]
    )
    return _warped(mask, matrix)


def tps_deform(mask: Mask, rng: np.random.Generator, points: int = 5, shift: float = 0.1) -> Mask:
    """The object bent so that ``points`` random points of its boundary move by up to ``shift`` of w
    in x, of h in y.

    The boundary is the ring of pixels just outside the object. Points that lie close together or
    nearly on a line move less, so that the plane does not fold. A mask whose ring has fewer than
    ``points`` pixels, or is a line, is returned as it is.
    """
    box = box_of(mask)
    if box is None:
        return mask.copy()
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    ring_y, ring_x = np.nonzero(_ring(mask, box))
    if len(ring_x) < points:
        return mask.copy()
    ring = np.stack([ring_x, ring_y], axis=1) + np.maximum((x1 - 1, y1 - 1), 0)
    draws = [ring[rng.choice(len(ring), points, replace=False)] for _ in range(_POINT_DRAWS)]
    spreads = [_spread(drawn / (w, h)) for drawn in draws]
    best = int(np.argmax(spreads))
    source, offsets = draws[best], rng.uniform(-shift, shift, (points, 2))
    offsets *= min(1, _STEEPEST * spreads[best] / max(float(np.abs(offsets).max()), 1e-6))
    target = source + offsets * (w, h)
    return _moved_by_spline(mask, source, target, box)


def thin_plate_spline(source: NDArray[np.float64], target: NDArray[np.float64]) -> RBFInterpolator:
    """The spline with kernel r^2 log r^2 that takes ``source`` exactly to ``target``, both (N, 2);
    no regularisation.

    Returns:
        A function from (M, 2) points to (M, 2) points.

    Raises:
        LinAlgError: the source points lie on a line, or two of them coincide.
    """
    # scipy's kernel is r^2 log r; the factor 2 goes into the weights.
    return RBFInterpolator(source, target, kernel='thin_plate_spline', degree=1)


def dilate_disk(mask: Mask, radius: float) -> Mask:
    """All pixels at most ``radius`` pixels (Euclidean) from the object; a single pixel becomes 81
    for a radius of 5.
    """
    box = box_of(mask)
    grown = mask.copy()
    if box is not None and radius >= 1:
        window = _window(box, int(radius), mask.shape)
        grown[window] = cv2.dilate(mask[window].view(np.uint8), disk(radius)).view(np.bool_)
    return grown


@functools.lru_cache(maxsize=64)
def disk(radius: float) -> NDArray[np.uint8]:
    """Exact Euclidean disk of ones in a square of zeros of side 2 * floor(radius) + 1."""
    y, x = np.mgrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1]
    inside: NDArray[np.uint8] = (x * x + y * y <= radius * radius).astype(np.uint8)
    return inside


def cut_part(mask: Mask, rng: np.random.Generator, least: float = 0.3, most: float = 0.85) -> Mask:
    """The part of a mask on one side of a line of random direction; ``least`` to ``most`` of the
    pixels are left.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask.copy()
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    kept = along <= np.quantile(along, rng.uniform(least, most))
    part = np.zeros_like(mask)
    part[rows[kept], columns[kept]] = True
    return part


def move_away(
    guide: Mask,
    avoid: Mask,
    rng: np.random.Generator,
    within: Box,
    reach: float = 1.3,
    scale: tuple[float, float] = (0.3, 1.0),
) -> Mask | None:
    """The object of ``guide``, smaller and somewhere else, where a square around it has no pixel of
    ``avoid``.

    Args:
        guide: what is moved.
        avoid: the object, in the frame that is to be segmented.
        rng: draws scale and place.
        within: where all of it is placed, a box inside the picture.
        reach: half the square's side over the longer side of the moved object's box.
        scale: bounds of the factor by which the object is scaled.

    Returns:
        The moved mask, None where no room was found or ``guide`` is empty.
    """
    box = box_of(guide)
    if box is None:
        return None
    x1, y1, x2, y2 = box
    for _ in range(_PLACE_DRAWS):
        factor = rng.uniform(*scale)
        w, h = max(round((x2 - x1) * factor), 1), max(round((y2 - y1) * factor), 1)
        if w > within[2] - within[0] or h > within[3] - within[1]:
            continue
        left, top = (
            int(rng.integers(within[0], within[2] - w + 1)),
            int(rng.integers(within[1], within[3] - h + 1)),
        )
        side = 2 * reach * max(w, h)
        rows, columns = (
            slice(max(int(center - side / 2), 0), int(center + side / 2) + 2)
            for center in (top + h / 2, left + w / 2)
        )
        if avoid[rows, columns].any():
            continue
        small = cv2.resize(guide[y1:y2, x1:x2].view(np.uint8), (w, h), interpolation=cv2.INTER_AREA)
        moved = np.zeros_like(guide)
        moved[top : top + h, left : left + w] = small > 0
        return moved
    return None


def online_set(
    image: Image, mask: Mask, rng: np.random.Generator
) -> Iterator[tuple[Image, Mask, Mask]]:
    """Training samples from the one annotated frame of a video, for tuning a net to it (MaskTrack,
    section 3.2).

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
    for angle in (0, *(sign * degrees for degrees in range(2, 21, 2) for sign in (1, -1))):
        turned = _turned(image, angle, cv2.INTER_CUBIC)
        masks = [
            _turned(m.view(np.uint8), angle, cv2.INTER_NEAREST).view(np.bool_)
            for m in (mask, affine, bent)
        ]
        for step in (1, -1):  # as it is and mirrored
            target, *guides = (np.ascontiguousarray(m[:, ::step]) for m in masks)
            picture = np.ascontiguousarray(turned[:, ::step])
            for guide in guides:
                yield picture, target, guide


def largest_rectangle(width: float, height: float, degrees: float) -> tuple[float, float]:
    """Width and height of the largest upright rectangle inside a rectangle that is turned by -90 to
    90 degrees.
    """
    sine, cosine = abs(math.sin(math.radians(degrees))), math.cos(math.radians(degrees))
    longer, shorter = max(width, height), min(width, height)
    if shorter <= 2 * sine * cosine * longer or abs(sine - cosine) < 1e-9:
        half = shorter / 2  # only the longer sides bound it
        return (half / sine, half / cosine) if width >= height else (half / cosine, half / sine)
    double = cosine * cosine - sine * sine
    return (width * cosine - height * sine) / double, (height * cosine - width * sine) / double


def _turned(picture: NDArray[np.uint8], degrees: float, interpolation: int) -> NDArray[np.uint8]:
    """The largest upright part of a turned picture (H, W[, 3]), resized to H x W."""
    if degrees == 0:
        return picture
    height, width = picture.shape[:2]
    inner_width, inner_height = largest_rectangle(width, height, degrees)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    center = np.array([width - 1, height - 1]) / 2
    linear = np.array([[cosine, -sine], [sine, cosine]]) * (
        inner_width / width,
        inner_height / height,
    )
    matrix = np.column_stack([linear, center - linear @ center])
    turned = cv2.warpAffine(
        picture,
        matrix,
        (width, height),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return turned.astype(np.uint8, copy=False)


def _warped(mask: Mask, matrix: NDArray[np.float64]) -> Mask:
    height, width = mask.shape
    return cv2.warpAffine(
        mask.view(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST
    ).view(np.bool_)


def _window(box: Box, margin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a box with a margin, inside the picture."""
    x1, y1, x2, y2 = box
    return (
        slice(max(y1 - margin, 0), min(y2 + margin, shape[0])),
        slice(max(x1 - margin, 0), min(x2 + margin, shape[1])),
    )


def _ring(mask: Mask, box: Box) -> Mask:
    """The pixels outside the object that touch it, in the window of its box with a margin of 1."""
    inside = mask[_window(box, 1, mask.shape)]
    return cv2.dilate(inside.view(np.uint8), disk(1)).view(np.bool_) & ~inside


def _spread(points: NDArray[np.float64]) -> float:
    """Smallest distance between two of the points, or their root mean square distance to a line,
    the smaller.
    """
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    thickness = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[-1] / math.sqrt(
        len(points)
    )
    return min(float(distances[np.triu_indices(len(points), 1)].min()), float(thickness))


def _moved_by_spline(
    mask: Mask, source: NDArray[np.int64], target: NDArray[np.float64], box: Box
) -> Mask:
    """Warps backward: every pixel near the object looks up where the spline from target to source
    takes it.
    """
    x1, y1, x2, y2 = box
    rows, columns = _window(box, max(x2 - x1, y2 - y1) // 4 + 2, mask.shape)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    count_y, count_x = -(-height // _STEP), -(-width // _STEP)
    # cell centres: where cv2.resize puts the values
    grid_y, grid_x = np.mgrid[:count_y, :count_x] * _STEP + (_STEP - 1) / 2
    grid = np.stack([grid_x + columns.start, grid_y + rows.start], axis=-1).reshape(-1, 2)
    try:
        offsets = thin_plate_spline(target, source.astype(np.float64))(grid) - grid
    except LinAlgError:
        return mask.copy()
    coarse = offsets.reshape(count_y, count_x, 2).astype(np.float32)
    fine = cv2.resize(coarse, (count_x * _STEP, count_y * _STEP), interpolation=cv2.INTER_LINEAR)[
        :height, :width
    ]
    pixel_y, pixel_x = np.mgrid[rows, columns].astype(np.float32)
    moved = np.zeros_like(mask)
    moved[rows, columns] = cv2.remap(
        mask.view(np.uint8), pixel_x + fine[..., 0], pixel_y + fine[..., 1], cv2.INTER_NEAREST
    ).view(np.bool_)
    return moved
