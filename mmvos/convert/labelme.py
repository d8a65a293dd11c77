"""Folders of labelme files as videos with tracked objects.

A folder holds one folder per video, or the frames of one video; each frame has a JSON of labelme
beside it, ``label`` is the class and ``group_id`` the object's number in the video. Polygons stay
polygons; rectangles, circles and turned rectangles become polygons, mask shapes run lengths, bit by
bit; several shapes of one object in a frame are joined. Lines and points have no area and are left
out with a note, and so are frames without a JSON, unless they are said to show no object.
"""

from __future__ import annotations

import base64
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.convert.annotation_model import (
    ConversionError,
    Notes,
    TrackedObject,
    TrackedVideo,
    check_mask,
    check_size,
    encoded,
    joined,
    value_of,
)
from mmvos.convert.shape_polygons import ellipse, rectangle
from mmvos.io.frame_names import has_file, list_files, list_folders, sort_frames
from mmvos.io.image_checks import open_image
from mmvos.io.json_file import read_json
from mmvos.io.paths import check_name
from mmvos.io.progress_bar import with_bar

NO_AREA = ('line', 'linestrip', 'point', 'points')
Size = tuple[int, int]


def read(
    folder: Path, track_by: str, unlabeled: str, notes: Notes
) -> tuple[list[TrackedVideo], Path]:
    """Read the videos of a folder.

    Args:
        folder: of one video, or with a folder for each.
        track_by: 'group' or 'label', what is the same in all frames of an object.
        unlabeled: what to do with frames that have no JSON.
        notes: takes what is left out.

    Returns:
        The videos, and the folder that their file names are relative to.

    Raises:
        ConversionError, EvaluationInputError: at the first fault, with the file and the shape.
    """
    if not folder.is_dir():
        raise ConversionError(f'{folder} is no folder.')

    # The folder is one video, or holds a folder for each.
    is_single = has_file(folder, ('.json',))
    if is_single:
        folders = [folder]
        root = folder.resolve().parent
    else:
        folders = [entry for entry in list_folders(folder) if has_file(entry, ('.json',))]
        root = folder.resolve()
    if not folders:
        raise ConversionError(f'{folder} holds no JSON, and no folder with one.')
    videos = []
    for entry in with_bar(folders, 'reading'):
        videos.append(_video(entry.resolve(), root, track_by, unlabeled, notes))
    return videos, root


def _video(folder: Path, root: Path, track_by: str, unlabeled: str, notes: Notes) -> TrackedVideo:
    """Read the video of a folder."""
    labeled = _labeled_images(folder, root)
    names = _frame_names(folder, root, labeled, unlabeled, notes)

    # The masks of each object by frame, of which several are one mask in parts.
    size: Size | None = None
    parts: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    label_of: dict[int, str] = {}
    numbers: dict[str, int] = {}  # of labels, for --track-by label
    for t, name in enumerate(names):
        if name not in labeled:
            continue
        path = labeled[name]
        data = read_json(path)
        size = _check_same_size(data, size, path)
        for place, shape in enumerate(value_of(data, 'shapes', list, str(path))):
            where = f'{path}: shape {place}'
            label = value_of(shape, 'label', str, where)
            if shape.get('shape_type', 'polygon') in NO_AREA:
                notes.add('lines and points have no area and are left out', where)
                continue
            if track_by == 'label':
                number = numbers.setdefault(label, len(numbers) + 1)
            else:
                number = _group(shape, f'{where} ("{label}")')
            if label_of.setdefault(number, label) != label:
                raise ConversionError(
                    f'{where}: object {number} is "{label}" here and "{label_of[number]}" in an '
                    'earlier frame; an object has one class.'
                )
            parts[number][t].append(shape_mask(shape, size, where))
    assert size is not None

    objects = []
    for number in sorted(parts):
        masks = {t: joined(of_frame, *size) for t, of_frame in parts[number].items()}
        objects.append(TrackedObject(number, label_of[number], masks))
    return TrackedVideo(names, *size, objects)


def _labeled_images(folder: Path, root: Path) -> dict[str, Path]:
    """Return the JSON of each image that has one, by the image's name relative to ``root``."""
    labeled: dict[str, Path] = {}
    for path in list_files(folder, ('.json',)):
        written = value_of(read_json(path), 'imagePath', str, str(path)).replace('\\', '/')
        image = os.path.normpath(folder / written)
        name = os.path.relpath(image, root).replace(os.sep, '/')
        if name.startswith('../'):
            raise ConversionError(f'{path}: its imagePath leads outside of {root}.')
        name = check_name(name, str(path))
        if name in labeled:
            raise ConversionError(
                f'{path} and {labeled[name].name} are both about the image {name}.'
            )
        labeled[name] = path
    return labeled


def _frame_names(
    folder: Path, root: Path, labeled: Mapping[str, Path], unlabeled: str, notes: Notes
) -> list[str]:
    """Return the frames in order: those with a JSON, and the others where they show no object."""
    images = {path.relative_to(root).as_posix() for path in list_files(folder)}
    others = images - labeled.keys()
    shown = set(labeled)
    if unlabeled == 'skip':
        for name in sorted(others):
            notes.add('frames without a JSON are left out (--unlabeled empty takes them)', name)
    elif unlabeled == 'empty':
        shown |= others
    return sort_frames(shown, folder)


def _check_same_size(data: Any, size: Size | None, path: Path) -> Size:
    """Return the size (H, W) that a JSON says, which all frames of a video have."""
    height = value_of(data, 'imageHeight', int, str(path))
    width = value_of(data, 'imageWidth', int, str(path))
    check_size(height, width, str(path))
    if size is not None and size != (height, width):
        raise ConversionError(
            f'{path} says {height} x {width}, but the first frame of the video is {size[0]} x '
            f'{size[1]} (height x width).'
        )
    return height, width


def _group(shape: Mapping[str, Any], where: str) -> int:
    if shape.get('group_id') is None:
        raise ConversionError(
            f'{where} has no group_id, so nobody knows which object it is; number the objects of '
            'the video, or use --track-by label where each class has one.'
        )
    return int(value_of(shape, 'group_id', int, where))


def shape_mask(shape: Mapping[str, Any], size: Size, where: str) -> Any:
    """The mask of a shape that has an area: polygons, or run lengths.

    Args:
        shape: of a labelme file, of none of the kinds in ``NO_AREA``.
        size: (H, W) of the frame.
        where: what the shape is called in messages.

    Raises:
        ConversionError: it is of an unknown kind, or malformed.
    """
    kind = shape.get('shape_type', 'polygon')
    points = _points(shape, where)
    mask: Any
    if kind == 'rectangle' and len(points) == 2:
        (x1, y1), (x2, y2) = points
        mask = [rectangle(x1, y1, x2, y2)]
    elif kind == 'circle' and len(points) == 2:
        # The center, and a point on the circle.
        (x1, y1), (x2, y2) = points
        radius = np.hypot(x2 - x1, y2 - y1)
        mask = [ellipse(x1, y1, radius, radius)]
    elif kind in ('polygon', 'rectangle', 'oriented_rectangle'):
        mask = [[float(value) for point in points for value in point]]
    elif kind == 'mask' and points:
        mask = _drawn(value_of(shape, 'mask', str, where), points[0], size, where)
    else:
        raise ConversionError(
            f'{where} is a {kind!r} of {len(points)} points; known are polygon, rectangle, circle '
            f'and mask.'
        )
    check_mask(mask, *size, where)
    return mask


def _points(shape: Mapping[str, Any], where: str) -> list[Sequence[float]]:
    points = value_of(shape, 'points', list, where)
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise ConversionError(f'{where}: the point {str(point)[:40]} is not [x, y].')
        for value in point:
            value_of({'points': value}, 'points', (int, float), where)
    return points


def mask_pixels(text: str, where: str) -> NDArray[np.bool_]:
    """Decode a mask that labelme keeps as a PNG of its bounding box.

    Args:
        text: the PNG in base64.
        where: what the shape is called in messages.

    Returns:
        (h, w) bool.

    Raises:
        ConversionError: it is no such PNG.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise ConversionError(f'{where}: its mask is no PNG in base64.') from None
    with open_image(where, data, f'{where}: its mask') as image:
        return np.asarray(image.convert('L')) > 0


def _drawn(text: str, corner: Sequence[float], size: Size, where: str) -> dict[str, Any]:
    """Run lengths of the frame's size of a mask; ``corner`` is the first pixel of its box."""
    part = mask_pixels(text, where)
    height, width = part.shape
    left, top = (round(value) for value in corner)
    bottom = top + height
    right = left + width
    if top < 0 or left < 0 or bottom > size[0] or right > size[1]:
        raise ConversionError(
            f'{where}: its mask of {height} x {width} (height x width) at ({left}, {top}) lies '
            'outside of the frame.'
        )
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = part
    return encoded(mask)
