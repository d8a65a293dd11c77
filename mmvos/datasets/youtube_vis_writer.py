"""Writes videos in the YouTube-VIS layout (native JSON + JPEG frames) with the same masks as
DAVIS-style palette PNGs.

One `VideoWriter` takes one video frame by frame (picture and label map) and returns a
`VideoRecord`; `write_instances` joins the records of a split into its JSON file. Writers of
different videos share nothing, so videos can be made in parallel; ids come from the order of the
records alone. Layout of a split: `instances.json`, `JPEGImages/<video>/00000.jpg`,
`Annotations/<video>/00000.png`. Schema: the YouTube-VIS 2021 competition page. Letters: H, W height
and width, L frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmvos.io.atomic import write_bytes, write_json
from mmvos.io.errors import DataError
from mmvos.io.label_png import write_label_png

MAX_OBJECTS = 254  # pixel values of a palette PNG; 0 is the background, 255 is void


@dataclass(frozen=True)
class ObjectRecord:
    """One object over a whole video; each tuple has one entry per frame, None where no pixel of it
    is visible."""

    number: int  # pixel value in the PNGs, from 1
    category_id: int
    # uncompressed RLE: counts (list of int), size [H, W]
    segmentations: tuple[dict[str, Any] | None, ...]
    bboxes: tuple[list[float] | None, ...]  # x, y, w, h in pixels
    areas: tuple[int | None, ...]  # visible pixels


@dataclass(frozen=True)
class VideoRecord:
    """What the JSON file says about one video."""

    name: str
    height: int
    width: int
    file_names: tuple[str, ...]
    objects: tuple[ObjectRecord, ...]


def uncompressed_rle(mask: np.ndarray) -> dict[str, Any]:
    """Return the COCO run lengths of an (H, W) bool mask, column by column, beginning with
    zeros.
    """
    flat = np.asarray(mask, dtype=bool).ravel(order='F')
    run_ends = np.flatnonzero(np.diff(flat)) + 1
    bounds = np.concatenate([[0], run_ends, [flat.size]])
    counts = np.diff(bounds).tolist()
    if flat[0]:
        # The first run is one of zeros, empty here.
        counts = [0, *counts]
    return {'counts': counts, 'size': list(mask.shape)}


def keep_visible(
    label_maps: Sequence[np.ndarray], categories: Mapping[int, int]
) -> tuple[list[np.ndarray], dict[int, int]]:
    """Drop the objects that no frame shows and number the others 1..K in their old order.

    Args:
        label_maps: L arrays (H, W) uint8.
        categories: object number -> category id.
    """
    visible: set[int] = set()
    for labels in label_maps:
        visible.update(np.unique(labels).tolist())
    visible.discard(0)
    # (256,): from the old number of a pixel to the new one
    new_number = np.zeros(256, np.uint8)
    kept_categories = {}
    for new, old in enumerate(sorted(visible), 1):
        new_number[old] = new
        kept_categories[new] = categories[old]
    return [new_number[labels] for labels in label_maps], kept_categories


class VideoWriter:
    """Writes the frames and label maps of one video.

    Args:
        split_dir: folder of the split, e.g. OUT/train; made where missing.
        name: folder name of the video.
        categories: object number (1..254) -> category id, all objects of the video.
        quality: JPEG quality, 1..100.
    """

    def __init__(
        self, split_dir: str | Path, name: str, categories: Mapping[int, int], quality: int = 92
    ) -> None:
        for number in categories:
            if not 1 <= number <= MAX_OBJECTS:
                raise ValueError(
                    f'video {name}: object number {number} is not within 1..{MAX_OBJECTS}'
                )
        self.name = name
        self.categories = dict(sorted(categories.items()))
        self.quality = quality
        self.image_dir = Path(split_dir) / 'JPEGImages' / name
        self.label_dir = Path(split_dir) / 'Annotations' / name
        self.image_dir.mkdir(parents=True, exist_ok=True)
        self.label_dir.mkdir(parents=True, exist_ok=True)
        self._shape: tuple[int, int] | None = None
        self._rows: list[dict[int, tuple[dict[str, Any], list[float], int]]] = []

    def add(self, image: np.ndarray, label_map: np.ndarray) -> None:
        """Write the next frame.

        Args:
            image: (H, W, 3) uint8, BGR.
            label_map: (H, W) uint8, object number of each pixel, 0 = background.

        Raises:
            ValueError: another size than the first frame, picture and labels of different sizes, an
                object number without category.
        """
        index = len(self._rows)
        place = f'video {self.name}, frame {index}'
        self._check(image, label_map, place)
        numbers = [int(number) for number in np.unique(label_map) if number]
        unknown = sorted(set(numbers) - set(self.categories))
        if unknown:
            raise ValueError(
                f'{place}: object number {unknown[0]} has no category; known: '
                f'{list(self.categories)}'
            )
        height, width = label_map.shape
        self._shape = (height, width)
        # The picture, the label image, and what the JSON says about the objects.
        is_encoded, jpeg = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        if not is_encoded:
            raise DataError(f'{place}: the picture cannot be encoded as JPEG')
        write_bytes(self.image_dir / f'{index:05d}.jpg', jpeg.data, durable=False)
        write_label_png(self.label_dir / f'{index:05d}.png', label_map)
        row = {number: _describe(label_map == number) for number in numbers}
        self._rows.append(row)

    def _check(self, image: np.ndarray, label_map: np.ndarray, place: str) -> None:
        """Raise ValueError where sizes differ."""
        if image.shape != (*label_map.shape, 3):
            raise ValueError(
                f'{place}: the picture is {image.shape}, the label map {label_map.shape}'
            )
        if self._shape is not None and self._shape != label_map.shape:
            raise ValueError(
                f'{place}: size {label_map.shape} differs from the first frame, {self._shape}'
            )

    def finish(self) -> VideoRecord:
        """Return the record of the video.

        Raises:
            ValueError: no frame was added, or an object is visible in no frame (see
                `keep_visible`).
        """
        if self._shape is None:
            raise ValueError(f'video {self.name}: no frame was added')
        height, width = self._shape
        file_names = []
        for index in range(len(self._rows)):
            file_names.append(f'{self.name}/{index:05d}.jpg')
        objects = [self._object_record(number) for number in self.categories]
        return VideoRecord(self.name, height, width, tuple(file_names), tuple(objects))

    def _object_record(self, number: int) -> ObjectRecord:
        """The record of an object; ValueError where no frame shows it."""
        rows = [row.get(number) for row in self._rows]
        if not any(rows):
            raise ValueError(
                f'video {self.name}: object {number} is visible in no frame; leave it out'
            )
        absent = (None, None, None)
        masks, boxes, areas = zip(*(row or absent for row in rows))
        return ObjectRecord(number, self.categories[number], masks, boxes, areas)


def write_instances(
    path: str | Path, records: Sequence[VideoRecord], categories: Sequence[str], description: str
) -> None:
    """Write the native YouTube-VIS JSON of one split; ids of videos and annotations count from 1.

    Args:
        path: the JSON file.
        records: one per video; annotations of a video stand in the order of their object numbers.
        categories: class names, ids 1..C in this order.
        description: goes to info.description.

    Raises:
        ValueError: two videos of one name, or a category id outside 1..C.
    """
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: set[str] = set()
    for video_id, record in enumerate(records, 1):
        if record.name in names:
            raise ValueError(f'{path}: two videos are called {record.name}')
        names.add(record.name)
        size = dict(height=record.height, width=record.width, length=len(record.file_names))
        videos.append(dict(id=video_id, **size, file_names=list(record.file_names)))
        for item in record.objects:
            if not 1 <= item.category_id <= len(categories):
                raise ValueError(
                    f'{path}: video {record.name}, object {item.number}: category id '
                    f'{item.category_id} is not within 1..{len(categories)}'
                )
            annotation = dict(
                id=len(annotations) + 1,
                video_id=video_id,
                category_id=item.category_id,
                iscrowd=0,
                **size,
                segmentations=item.segmentations,
                bboxes=item.bboxes,
                areas=item.areas,
            )
            annotations.append(annotation)
    classes = []
    for category_id, name in enumerate(categories, 1):
        classes.append(dict(id=category_id, name=name, supercategory='object'))
    content = dict(
        info=dict(description=description, version='1.0'),
        licenses=[],
        videos=videos,
        categories=classes,
        annotations=annotations,
    )
    write_json(path, content)


def _describe(mask: np.ndarray) -> tuple[dict[str, Any], list[float], int]:
    """Return RLE, box (x, y, w, h) and area of a non-empty (H, W) bool mask."""
    column_major = np.asfortranarray(mask, dtype=np.uint8)
    compressed = coco_mask.encode(column_major)
    box = coco_mask.toBbox(compressed).tolist()
    area = int(coco_mask.area(compressed))
    run_lengths = uncompressed_rle(mask)
    return run_lengths, box, area
