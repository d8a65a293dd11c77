"""Shapes of a track in a "CVAT for video 1.1" file, and the masks that they stand for in every
frame.

A box is given by xtl, ytl, xbr, ybr and a rotation in degrees, an ellipse by cx, cy, rx, ry and a
rotation, a polygon by "x,y;x,y;...", a mask by its bounding box and the run lengths of its rows in
it, beginning with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from mmvos.convert.annotation_model import ConversionError, check_mask, encoded
from mmvos.convert.shape_polygons import ellipse, rectangle

AREAS = ('box', 'polygon', 'mask', 'ellipse')
_NUMBERS = {
    'box': ('xtl', 'ytl', 'xbr', 'ybr'),
    'ellipse': ('cx', 'cy', 'rx', 'ry'),
    'mask': ('left', 'top', 'width', 'height'),
}
Size = tuple[int, int]


@dataclass(frozen=True)
class CvatShape:
    """One shape.

    Attributes:
        kind: of shape, one of ``AREAS``.
        outside: the object is not there from this frame on.
        numbers: of a box or an ellipse, with its rotation.
        mask: of a polygon or a mask.
        is_keyframe: it was drawn by somebody; others CVAT has put between.
    """

    kind: str
    outside: bool
    numbers: tuple[float, ...] = ()
    mask: Any = None
    is_keyframe: bool = True

    def area_mask(self) -> Any:
        """The mask, run lengths or polygons; None where the object is outside."""
        if self.outside:
            return None
        return [_outline(self)] if self.numbers else self.mask


def read_shape(element: Element, size: Size, where: str) -> CvatShape:
    """Read and check one shape.

    Args:
        element: of the XML.
        size: (height, width) of the frame.
        where: names file, object and frame in messages.

    Raises:
        ConversionError: a number or the run lengths are missing or malformed.
    """
    outside = element.get('outside', '0') == '1'
    is_keyframe = element.get('keyframe', '1') == '1'
    kind = element.tag
    if kind in ('box', 'ellipse'):
        # These are kept by their numbers, between which frames are interpolated.
        numbers = [_number(element.get(key), key, where) for key in _NUMBERS[kind]]
        rotation = _number(element.get('rotation', '0'), 'rotation', where)
        shape = CvatShape(kind, outside, (*numbers, rotation), None, is_keyframe)
        check_mask([_outline(shape)], *size, where)
        return shape

    # Polygons and masks stand in every frame.
    mask: Any = None
    if kind == 'polygon':
        mask = [_polygon(element.get('points') or '', where)]
        check_mask(mask, *size, where)
    elif not outside:
        mask = _mask(element, size, where)
    return CvatShape(kind, outside, (), mask, is_keyframe)


def _polygon(text: str, where: str) -> list[float]:
    """Parse 'x,y;x,y;...' to [x, y, x, y, ...]."""
    numbers = []
    for point in text.split(';'):
        if not point.strip():
            continue
        coordinates = point.split(',')
        if len(coordinates) != 2:
            raise ConversionError(f'{where}: its points are not "x,y;x,y;...".')
        for value in coordinates:
            numbers.append(_number(value, 'points', where))
    return numbers


def masks_of_track(
    shapes: Mapping[int, CvatShape], length: int, size: Size, where: str
) -> dict[int, Any]:
    """Compute the masks of the frames that show an object.

    Args:
        shapes: by frame index.
        length: frames of the video.
        size: (H, W).
        where: names the object in messages.

    Returns:
        Frame -> mask, run lengths or polygons.

    Raises:
        ConversionError: a polygon is missing between two frames.
    """
    masks: dict[int, Any] = {}
    frames = sorted(shapes)
    for start, end in zip(frames, [*frames[1:], length]):
        shape = shapes[start]
        following = shapes.get(end)
        # Outside: the object is not seen until its next shape.
        if shape.outside:
            continue
        for t in range(start, end):
            if shape.numbers:
                # A box or ellipse moves towards the next one.
                target = shape
                if following is not None and following.kind == shape.kind:
                    target = following
                part = (t - start) / (end - start)
                masks[t] = [_outline(_between(shape, target, part))]
            elif _is_gap(shape, following, start, t):
                raise ConversionError(
                    f'{where}: its polygon is missing in frame {t}, between two others; CVAT '
                    f'writes a polygon in every frame, so draw it there or hide it (outside).'
                )
            else:
                masks[t] = shape.mask
    return masks


def polygon_gaps(shapes: Mapping[int, CvatShape]) -> set[int]:
    """Return the frames between two polygons of a track in which it has none.

    CVAT writes a polygon in every frame, but for frames that were deleted in the task.

    Args:
        shapes: of a track, by frame.
    """
    gaps: set[int] = set()
    for start, end in pairwise(sorted(shapes)):
        first = shapes[start]
        second = shapes[end]
        if _is_gap(first, second, start, start + 1):
            gaps.update(range(start + 1, end))
    return gaps


def _is_gap(shape: CvatShape, after: CvatShape | None, start: int, t: int) -> bool:
    """Whether a polygon should be drawn in frame t behind that of frame start, and is not."""
    is_hidden = shape.outside or after is None or after.outside
    return shape.kind == 'polygon' and t > start and not is_hidden


def _between(one: CvatShape, two: CvatShape, part: float) -> CvatShape:
    """A box or ellipse on the straight way from one to two; it turns the shorter way round."""
    *start_sides, start_angle = one.numbers
    *end_sides, end_angle = two.numbers
    sides = []
    for start, end in zip(start_sides, end_sides, strict=True):
        sides.append(start + (end - start) * part)
    # from 350 to 10 degrees: 20, not -340
    turn = (end_angle - start_angle + 180) % 360 - 180
    angle = start_angle + turn * part
    return CvatShape(one.kind, False, (*sides, angle))


def _outline(shape: CvatShape) -> list[float]:
    return rectangle(*shape.numbers) if shape.kind == 'box' else ellipse(*shape.numbers)


def _mask(element: Element, size: Size, where: str) -> dict[str, Any]:
    """Read a mask: run lengths along the rows of its bounding box."""
    numbers = [round(_number(element.get(key), key, where)) for key in _NUMBERS['mask']]
    left, top, width, height = numbers
    frame_height, frame_width = size
    begins_inside = left >= 0 and top >= 0
    has_pixels = width >= 1 and height >= 1
    ends_inside = left + width <= frame_width and top + height <= frame_height
    if not (begins_inside and has_pixels and ends_inside):
        raise ConversionError(
            f'{where}: its mask of {height} x {width} (height x width) at ({left}, {top}) lies '
            'outside of the frame.'
        )

    try:
        runs = np.array([int(run) for run in (element.get('rle') or '').split(',')])
    except (ValueError, OverflowError):
        runs = np.array([-1])
    if (runs < 0).any() or runs.sum() != width * height:
        raise ConversionError(
            f'{where}: its rle is no list of run lengths that cover the {height} x {width} pixels '
            f'of the mask.'
        )

    # The first run is background; they alternate.
    is_object = np.arange(len(runs)) % 2 == 1
    part = np.repeat(is_object, runs).reshape(height, width)
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = part
    return encoded(mask)


def _number(text: str | None, key: str, where: str) -> float:
    try:
        value = float(text or '')
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConversionError(f'{where}: its "{key}" is {text!r}, which is no number.')
    return value
