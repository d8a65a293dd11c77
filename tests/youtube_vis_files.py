"""A YouTube-VIS JSON file and its frames, small enough to be written by a test: every frame of a
video is one gray value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH = 24, 40


def rectangle_runs(
    x: int, y: int, w: int, h: int, height: int = HEIGHT, width: int = WIDTH
) -> dict[str, Any]:
    """Uncompressed run lengths of a filled rectangle, made from a drawn mask pixel by pixel."""
    mask = np.zeros((height, width), dtype=bool)
    mask[y : y + h, x : x + w] = True
    counts, value = [0], False
    for pixel in mask.ravel(order='F').tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return dict(counts=counts, size=[height, width])


def video(video_id: int, length: int, height: int = HEIGHT, width: int = WIDTH) -> dict[str, Any]:
    """A video's entry; frame names step by 5, as published."""
    names = [f'v{video_id}/{5 * t:05d}.jpg' for t in range(length)]
    return dict(id=video_id, height=height, width=width, length=length, file_names=names)


def annotation(
    annotation_id: int,
    entry: dict[str, Any],
    category_id: int = 1,
    frames: tuple[int, ...] | None = None,
    box: tuple[int, int, int, int] = (4, 6, 10, 8),
    iscrowd: int = 0,
) -> dict[str, Any]:
    """An object with the same rectangle in the given frames (all by default)."""
    length = len(entry['file_names'])
    runs = rectangle_runs(*box, entry['height'], entry['width'])
    inside = [frames is None or t in frames for t in range(length)]
    return dict(
        id=annotation_id,
        video_id=entry['id'],
        category_id=category_id,
        iscrowd=iscrowd,
        segmentations=[runs if yes else None for yes in inside],
        bboxes=[[float(v) for v in box] if yes else None for yes in inside],
        areas=[box[2] * box[3] if yes else None for yes in inside],
    )


def content(
    videos: list[dict[str, Any]], annotations: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """The JSON's content, with categories 7 (cat) and 1 (dog) in this order."""
    categories = [dict(id=7, name='cat'), dict(id=1, name='dog')]
    return dict(videos=videos, categories=categories, annotations=annotations)


def write(folder: Path, data: dict[str, Any]) -> Path:
    """Writes ``instances.json`` and the frames (JPEG, gray value = 5 * frame index) and returns the
    folder.
    """
    for entry in data['videos']:
        for t, name in enumerate(entry['file_names']):
            path = folder / 'JPEGImages' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(
                str(path), np.full((entry['height'], entry['width'], 3), 5 * t, dtype=np.uint8)
            )
    (folder / 'instances.json').write_text(json.dumps(data))
    return folder
