"""Videos with tracked objects as YOLO-seg text files, as Ultralytics reads them.

A frame has a file with a line for each object: the number of its class from 0, then the outline
x1 y1 x2 y2 ... in parts of the frame's width and height. A line is one outline: parts of an object
are joined by thin bridges, and holes are filled. Ids have no place in it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from mmvos.convert.annotation_model import Notes, TrackedVideo
from mmvos.convert.shape_polygons import Outline, outer_outlines
from mmvos.convert.youtube_vis import AnnotationFile, visible
from mmvos.io.atomic import write_text
from mmvos.io.paths import output_inside


def write(out: Path, source: AnnotationFile, notes: Notes) -> int:
    """Write OUT/labels/VIDEO/FRAME.txt of every frame, and OUT/data.yaml.

    Args:
        out: the folder.
        source: the videos and their classes.
        notes: takes what is lost.

    Returns:
        The number of text files.

    Raises:
        UnsafeNameError: a name leads out of the folder.
    """
    class_names = [str(category['name']) for category in source.categories]
    count = 0
    for video in source.videos:
        where = f'{source.source}: video {video.folder}'
        lines = _lines_of(video, class_names, notes)
        # A frame without an object has an empty file: YOLO takes it for background.
        for t, name in enumerate(video.file_names):
            target = f'labels/{video.folder}/{PurePosixPath(name).stem}.txt'
            text = ''.join(lines.get(t, []))
            write_text(output_inside(out, target, where), text, durable=False)
            count += 1
    names = dict(enumerate(class_names))
    data = {'path': '.', 'train': 'images', 'val': 'images', 'names': names}
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    write_text(out / 'data.yaml', text)
    return count


def _lines_of(video: TrackedVideo, class_names: list[str], notes: Notes) -> dict[int, list[str]]:
    """Return the lines of each frame that has an object: class number, then the outline's points
    as shares of the frame's width and height.
    """
    lines: dict[int, list[str]] = {}
    for item in video.objects:
        place = f'video {video.folder}, object {item.id}'
        notes.add('objects lose their id, which YOLO cannot say', place)
        for t, rle in visible(item, video, notes).items():
            class_number = class_names.index(item.category)
            outline = outline_of(rle) / (video.width, video.height)
            numbers = [f'{value:.6f}' for value in outline.reshape(-1).tolist()]
            line = f'{class_number} {" ".join(numbers)}\n'
            lines.setdefault(t, []).append(line)
    return lines


def outline_of(rle: dict[str, Any]) -> Outline:
    """Return the outline of a mask as one polygon.

    Args:
        rle: pycocotools run lengths of a mask with a pixel.

    Returns:
        (P, 2) x and y in pixels, along the outer edges of the outermost pixels' middles.
    """
    # Parts are joined to one polygon, the largest first.
    parts = outer_outlines(rle)
    parts.sort(key=len, reverse=True)
    joined = parts[0]
    for part in parts[1:]:
        joined = _bridge(joined, part)
    return joined


def _bridge(one: Outline, two: Outline) -> Outline:
    """Join two outlines at their nearest points: there, around the second, and back."""
    # (P, Q): squared distances of all pairs of points
    differences = one[:, None] - two[None]
    distances = np.square(differences).sum(axis=2)
    nearest = int(distances.argmin())
    here, there = np.unravel_index(nearest, distances.shape)

    before = one[: here + 1]
    around = [two[there:], two[: there + 1]]
    after = one[here:]
    return np.concatenate([before, *around, after])
