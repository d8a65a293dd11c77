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

from mmvos.convert.annotation_model import Notes
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
    names = [str(category['name']) for category in source.categories]
    count = 0
    for video in source.videos:
        where = f'{source.source}: video {video.folder}'
        lines: dict[int, list[str]] = {}
        for item in video.objects:
            place = f'video {video.folder}, object {item.id}'
            notes.add('objects lose their id, which YOLO cannot say', place)
            for t, rle in visible(item, video, notes).items():
                outline = outline_of(rle)
                scaled = outline / (video.width, video.height)
                numbers = ' '.join(f'{value:.6f}' for value in scaled.reshape(-1).tolist())
                lines.setdefault(t, []).append(f'{names.index(item.category)} {numbers}\n')
        for t, name in enumerate(video.file_names):
            target = f'labels/{video.folder}/{PurePosixPath(name).stem}.txt'
            text = ''.join(lines.get(t, []))
            write_text(output_inside(out, target, where), text, durable=False)
            count += 1
    data = {'path': '.', 'train': 'images', 'val': 'images', 'names': dict(enumerate(names))}
    write_text(out / 'data.yaml', yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    return count


def outline_of(rle: dict[str, Any]) -> Outline:
    """The outline of a mask as one polygon.

    Args:
        rle: pycocotools run lengths of a mask with a pixel.

    Returns:
        (P, 2) x and y in pixels, along the outer edges of the outermost pixels' middles.
    """
    parts = outer_outlines(rle)
    parts.sort(key=len, reverse=True)
    joined = parts[0]
    for part in parts[1:]:
        joined = _bridge(joined, part)
    return joined


def _bridge(one: Outline, two: Outline) -> Outline:
    """Join two outlines at their nearest points: there, around the second, and back."""
    distances = np.square(one[:, None] - two[None]).sum(axis=2)
    here, there = np.unravel_index(int(distances.argmin()), distances.shape)
    around = np.concatenate([two[there:], two[: there + 1]])
    return np.concatenate([one[: here + 1], around, one[here:]])
