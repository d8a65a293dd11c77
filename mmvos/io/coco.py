"""COCO's instance annotations: the one reader, and the checks of images and annotations.

Schema: images (id, file_name, height, width), annotations (image_id, category_id, and optionally
id, segmentation, bbox (x, y, w, h), area, iscrowd), categories (id, name). Masks are checked where
they are decoded (``rle.decode_mask``): a data set of stills has a million of them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from .errors import DataError
from .json_arrays import read_json_with_arrays
from .paths import name_fault
from .rle import size_fault

Row = Mapping[str, Any]
_MAX_COORDINATE = 1e300


def read_coco(path: str | Path) -> dict[str, Any]:
    """Read a COCO file.

    Programs on Windows write backslashes between folders; they are read as '/'.

    Returns:
        What the file holds; 'images' and 'annotations' are lists of dicts.

    Raises:
        DataError: the file cannot be read, is no JSON, or lacks one of these lists.
    """
    data = read_json_with_arrays(path)
    for part in ('images', 'annotations'):
        rows = data.get(part) if isinstance(data, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(
                f'{path} has no list "{part}": it is no COCO file with images and annotations.'
            )
    for image in data['images']:
        name = image.get('file_name')
        if isinstance(name, str):
            image['file_name'] = name.replace('\\', '/')
    return dict(data)


def check_images(images: list[dict[str, Any]], source: object) -> dict[Any, dict[str, Any]]:
    """Check all images of a file.

    Returns:
        id -> image.

    Raises:
        DataError: at the first image that is not usable.
    """
    by_id: dict[Any, dict[str, Any]] = {}
    for place, image in enumerate(images):
        fault = image_fault(image, by_id)
        if fault is not None:
            raise DataError(f'{source}: image {_name(image, place)}: {fault}.')
        by_id[image['id']] = image
    return by_id


def check_annotation(annotation: Row, images: Container[Any], place: int, source: object) -> None:
    """Check one annotation, but for its mask.

    Args:
        annotation: the entry.
        images: ids of the images.
        place: position in the list of annotations.
        source: the file's name.

    Raises:
        DataError: the annotation is not usable.
    """
    fault = annotation_fault(annotation, images)
    if fault is not None:
        raise DataError(f'{source}: annotation {_name(annotation, place)}: {fault}.')


def image_fault(image: Row, seen: Container[Any]) -> str | None:
    """Say what is wrong with an image's entry; None where nothing is.

    Args:
        image: the entry.
        seen: ids of the entries before.
    """
    if not _is_id(image.get('id')):
        return f'its id is {_short(image.get("id"))}; it must be a whole number'
    if image['id'] in seen:
        return 'another image has the same id'
    fault = name_fault(image.get('file_name'))
    if fault is not None:
        return f'its file name {_short(image.get("file_name"))} {fault}'
    return size_fault(image.get('height'), image.get('width'))


def annotation_fault(annotation: Row, images: Container[Any]) -> str | None:
    """Say what is wrong with an annotation, but for its mask; None where nothing is."""
    image_id = annotation.get('image_id')
    if not _is_id(image_id):
        return f'its image_id is {_short(image_id)}; it must be a whole number'
    if image_id not in images:
        return f'there is no image {image_id}'
    crowd = annotation.get('iscrowd')
    if crowd is not None and (not isinstance(crowd, int) or crowd not in (0, 1)):
        return f'its iscrowd is {_short(crowd)}; write 0 or 1'
    area = annotation.get('area')
    if area is not None and not (_is_number(area) and area >= 0):
        return f'its area is {_short(area)}; write a number of pixels'
    box = annotation.get('bbox')
    if box is not None and not (
        isinstance(box, list) and len(box) in (0, 4) and all(map(_is_number, box))
    ):
        return f'its bbox is {_short(box)}; it must be [x, y, width, height]'
    return None


def crowds_in_words(annotations: list[Any]) -> str:
    """Say how many annotations are crowds, as the end of a sentence about objects that are missing;
    '' where none is.
    """
    crowds = sum(bool(row.get('iscrowd')) for row in annotations if isinstance(row, dict))
    if not crowds:
        return ''
    return (
        f'; {crowds} of its {len(annotations)} annotations are crowds (iscrowd 1), as CVAT marks '
        f'every brush mask'
    )


def _name(row: Row, place: int) -> str:
    """An entry in a message: its id, or its place where it has none."""
    return _short(row['id']) if 'id' in row else f'at position {place}'


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and abs(value) < _MAX_COORDINATE


def _short(value: Any) -> str:
    """A value in a message, cut where it is long."""
    if value is None:
        return 'missing'
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + '...'
