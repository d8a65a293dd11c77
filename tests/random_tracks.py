"""Random videos with tracked objects in YouTube-VIS format: late, leaving and hidden objects,
several classes, ids with gaps.

What the converters must not lose, as ``content`` of a file: ids, classes, frames, and masks decoded
to pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

CATEGORIES = [
    {'id': 3, 'name': 'cat', 'supercategory': 'object'},
    {'id': 8, 'name': 'dog', 'supercategory': 'object'},
    {'id': 12, 'name': 'a toy car', 'supercategory': 'object'},
]
VIDEOS = {5: ('bear-1', 11, 17), 2: ('night', 24, 9)}  # id: name, height, width
LENGTH = 6


def rle(mask: np.ndarray) -> dict[str, Any]:
    """Compressed run lengths as they stand in a file."""
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {'size': list(mask.shape), 'counts': encoded['counts'].decode()}


def tight_box(mask: np.ndarray) -> list[float]:
    """(x, y, w, h) around the pixels of a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [float(side) for side in (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1)]


def noise_videos(seed: int, categories: Sequence[dict[str, Any]] = CATEGORIES) -> dict[str, Any]:
    """Masks of noise that do not overlap; object 2 comes late, 3 leaves, 4 is hidden in between, 9
    and 250 are always there.
    """
    rng = np.random.default_rng(seed)
    hidden = {2: {0, 1}, 3: {4, 5}, 4: {1, 2, 3}, 9: set(), 250: set()}
    videos, annotations = [], []
    for place, (video_id, (name, height, width)) in enumerate(VIDEOS.items()):
        names = [f'{name}/shot {letter}{t:02}.jpg' for t, letter in enumerate('aabbcc')]
        videos.append(
            {
                'id': video_id,
                'height': height,
                'width': width,
                'length': LENGTH,
                'file_names': names,
            }
        )
        labels = rng.choice([0, *hidden], (LENGTH, height, width))
        for number, away in hidden.items():
            masks = [None if t in away else labels[t] == number for t in range(LENGTH)]
            annotations.append(
                {
                    'id': 1000 * place + number,
                    'object_id': number,
                    'video_id': video_id,
                    'iscrowd': 0,
                    'height': height,
                    'width': width,
                    'length': LENGTH,
                    'category_id': categories[number % len(categories)]['id'],
                    'segmentations': [None if mask is None else rle(mask) for mask in masks],
                    'bboxes': [None if mask is None else tight_box(mask) for mask in masks],
                    'areas': [None if mask is None else int(mask.sum()) for mask in masks],
                }
            )
    return {
        'videos': videos,
        'categories': [dict(category) for category in categories],
        'annotations': annotations,
    }


def content(
    data: dict[str, Any], names: bool = True
) -> dict[tuple[str, int], tuple[str, int, dict[int, bytes]]]:
    """(video, object) -> (class, iscrowd, frame -> pixels) of a YouTube-VIS file, and its frames
    under object 0.

    Args:
        names: the frames' names count; else only their number.
    """
    classes = {category['id']: category['name'] for category in data['categories']}
    folder = {
        video['id']: video.get('name') or video['file_names'][0].split('/')[-2]
        for video in data['videos']
    }
    found: dict[Any, Any] = {}
    for video in data['videos']:
        frames = video['file_names'] if names else len(video['file_names'])
        found[folder[video['id']], 0] = (video['height'], video['width'], frames)
    for entry in data['annotations']:
        height, width = entry['height'], entry['width']
        masks = {
            t: pixels(mask, height, width) for t, mask in enumerate(entry['segmentations']) if mask
        }
        assert [t for t, box in enumerate(entry['bboxes']) if box] == list(masks)
        found[folder[entry['video_id']], entry.get('object_id', entry['id'])] = (
            classes[entry['category_id']],
            entry['iscrowd'],
            {t: mask.tobytes() for t, mask in masks.items()},
        )
    return found


def pixels(mask: Any, height: int, width: int) -> np.ndarray:
    """(H, W) uint8 of polygons or run lengths."""
    if isinstance(mask, list):
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(mask, height, width)))
    if isinstance(mask['counts'], list):
        return coco_mask.decode(coco_mask.frPyObjects(mask, height, width))
    return coco_mask.decode({'size': mask['size'], 'counts': mask['counts'].encode()})


def overlap_of(one: np.ndarray, two: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float(np.logical_and(one, two).sum() / max(np.logical_or(one, two).sum(), 1))
