"""Videos with tracked objects as folders of labelme files, which `labelme.read` reads back.

Each frame that shows an object has a JSON called after it. Every object is a shape of the kind
``mask`` (a PNG of its bounding box), bit by bit, with its class as ``label`` and its id as
``group_id``. labelme looks for the image beside the JSON: copy the frames there, or the files to
the frames.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from mmvos.convert.annotation_model import Notes, TrackedVideo
from mmvos.convert.shape_polygons import outer_outlines
from mmvos.convert.youtube_vis import AnnotationFile, visible
from mmvos.io.atomic import write_json
from mmvos.io.paths import output_inside

VERSION = '5.5.0'  # of labelme, whose files these are like
_FEWEST_POINTS = 4  # an outline with more is made simpler
_TOLERANCE = 0.7  # pixels between an outline and the simpler one


def write(out: Path, source: AnnotationFile, notes: Notes) -> int:
    """Write OUT/VIDEO/FRAME.json of every frame that shows an object.

    Args:
        out: the folder.
        source: the videos.
        notes: takes what is left out.

    Returns:
        The number of files.

    Raises:
        UnsafeNameError: a name leads out of the folder.
    """
    count = 0
    for video in source.videos:
        where = f'{source.source}: video {video.folder}'
        shapes: dict[int, list[dict[str, Any]]] = {}
        for item in video.objects:
            for t, rle in visible(item, video, notes).items():
                shape = mask_shape(item.category, item.id, rle)
                shapes.setdefault(t, []).append(shape)

        # A file for each frame that shows an object.
        for t in sorted(shapes):
            name = PurePosixPath(video.file_names[t])
            data: dict[str, Any] = {
                'version': VERSION,
                'flags': {},
                'shapes': shapes[t],
                'imagePath': name.name,
                'imageData': None,
                'imageHeight': video.height,
                'imageWidth': video.width,
            }
            target = f'{video.folder}/{name.stem}.json'
            write_json(output_inside(out, target, where), data, durable=False, indent=2)
            count += 1
        _note_crowds(video, notes)
    return count


def mask_shape(label: str, group: int | str, rle: dict[str, Any]) -> dict[str, Any]:
    """Make the shape of an object in one frame: its mask as a PNG inside its box.

    Args:
        label: class of the object.
        group: number of the object.
        rle: pycocotools run lengths of a mask with a pixel.
    """
    x, y, w, h = (int(value) for value in coco_mask.toBbox(rle))
    mask = coco_mask.decode(rle)
    part = mask[y : y + h, x : x + w]
    image = Image.fromarray(part.astype(np.uint8) * 255)
    stream = io.BytesIO()
    image.convert('1').save(stream, format='PNG')
    png = base64.b64encode(stream.getvalue())
    return {
        'label': label,
        'points': [[x, y], [x + w - 1, y + h - 1]],
        'group_id': group,
        'description': '',
        'shape_type': 'mask',
        'flags': {},
        'mask': png.decode('ascii'),
    }


def polygon_shapes(label: str, group: int | str, rle: dict[str, Any]) -> list[dict[str, Any]]:
    """Make the shapes of an object in one frame as polygons, one for each part; holes are filled.

    Args:
        label, group, rle: see `mask_shape`.
    """
    shapes = []
    for outline in outer_outlines(rle):
        if len(outline) > _FEWEST_POINTS:
            # Corners that nobody would set by hand.
            corners = cv2.approxPolyDP(outline.astype(np.float32), _TOLERANCE, True)
            outline = corners.reshape(-1, 2).astype(np.float64)
        shape = {
            'label': label,
            'points': outline.tolist(),
            'group_id': group,
            'description': '',
            'shape_type': 'polygon',
            'flags': {},
            'mask': None,
        }
        shapes.append(shape)
    return shapes


def _note_crowds(video: TrackedVideo, notes: Notes) -> None:
    for item in video.objects:
        if item.crowd:
            notes.add('groups (iscrowd) become objects', f'video {video.folder}, object {item.id}')
