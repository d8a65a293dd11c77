"""What all converters between annotation formats share: videos with tracked objects, masks, and how
faults are told.

A converter is a reader that yields ``TrackedVideo``s or a writer that takes them; the other side is
``youtube_vis_file``. A mask is a COCO run-length dict ({'size': [H, W], 'counts': compressed str},
or a list of runs) or a list of polygons [x0, y0, x1, y1, ...] in continuous pixels. Letters: H, W
height and width in pixels, L frames of a video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mmvos.datasets.frame_files import damaged_images, missing_frames
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files
from mmvos.io.rle import mask_fault
from mmvos.io.youtube_vis import box_fault

_WORDS = {
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    list: 'a list',
    dict: 'an object',
}
# as in the evaluation: pycocotools writes past its buffer for runs of 2**29 pixels
LARGEST_SIDE = 1 << 14
MAX_FRAMES = 200_000  # of a video without its images: two hours; a larger number is a mistake


class ConversionError(DataError):
    """Input that cannot be converted; the message is one sentence that names the file and the
    object.
    """


@dataclass(frozen=True)
class TrackedObject:
    """One object of one video.

    Attributes:
        id: the format's own, different from all others of the video.
        category: name of the class.
        masks: frame index -> mask, for the frames that show the object.
        boxes, areas: (x, y, w, h) and pixels where the source states them; the others are those of
            the mask.
        crowd: a group, which is neither learned nor counted.
        score: of a result, None for ground truth.
        numbered: the source gives the object no id of its own; ``id`` is a running number.
    """

    id: int
    category: str
    masks: Mapping[int, Any]
    boxes: Mapping[int, Sequence[float]] = field(default_factory=dict)
    areas: Mapping[int, float] = field(default_factory=dict)
    crowd: bool = False
    score: float | None = None
    numbered: bool = False


@dataclass(frozen=True)
class TrackedVideo:
    """One video: file names of its L frames in order, relative to the folder of all frames, and its
    objects.

    Attributes:
        id: the source's, None where it has none.
        name: the source's, where it has one that is not the folder of the frames.
        void: frame index -> mask of the pixels that nothing is said about.
    """

    file_names: Sequence[str]
    height: int
    width: int
    objects: Sequence[TrackedObject]
    id: int | None = None
    name: str | None = None
    void: Mapping[int, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """A name for the video's own folder: the last part of its name, else the folder of its
        first frame, else its id.
        """
        names = (
            PurePosixPath(self.name or '').name,
            PurePosixPath(self.file_names[0]).parent.name,
            f'video_{self.id}',
        )
        return next(name for name in names if name not in ('', '.', '..'))


class Notes:
    """Counts what a conversion leaves out or changes; ``show`` says each once, with its number and
    the first place.
    """

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, sentence: str, place: str) -> None:
        """Take one case of a sentence without end, e.g. 'masks without a pixel are left out'."""
        self._places.setdefault(sentence, []).append(place)

    def sentences(self) -> list[str]:
        """Each sentence with its number and the first place."""
        return [
            f'{len(places)} {sentence} (the first: {places[0]})'
            for sentence, places in self._places.items()
        ]

    def show(self) -> None:
        """Print the sentences."""
        for sentence in self.sentences():
            print(f'note: {sentence}')


def value_of(entry: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Take ``entry[key]``, which must be there and of a kind (bool is no number).

    Args:
        entry: an object of a JSON file, or anything else that stands in its place.
        key: of the value.
        kind: a type, or several.
        where: names file and place in messages.

    Raises:
        ConversionError: it is missing or of another kind.
    """
    value = entry.get(key) if isinstance(entry, Mapping) else None
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or (isinstance(value, float) and not np.isfinite(value))
    ):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        words = ' or '.join(dict.fromkeys(_WORDS[kind] for kind in kinds))
        raise ConversionError(
            f'{where}: "{key}" is {"missing" if value is None else repr(value)[:40]}; it must be '
            f'{words}.'
        )
    return value


def list_images(folder: Path) -> list[Path]:
    """The images of a folder in natural order.

    Raises:
        ConversionError: no such folder, or none in it.
    """
    found = list_files(folder)
    if not found:
        fault = 'holds no image.' if folder.is_dir() else 'is no folder.'
        raise ConversionError(f'{folder} {fault}')
    return found


def check_frames(videos: Sequence[TrackedVideo], root: Path) -> None:
    """Refuse frames that are missing, cut off or of another size; images are not decoded.

    Raises:
        ConversionError: at the first one.
    """
    entries = [
        dict(id=video.folder, height=video.height, width=video.width, file_names=video.file_names)
        for video in videos
    ]
    for check in (missing_frames, damaged_images):
        for _, sentence in check(entries, root):
            raise ConversionError(f'{sentence}.')


def check_size(height: int, width: int, where: str) -> None:
    """Refuse sides that are not 1 to ``LARGEST_SIDE`` pixels.

    Args:
        height, width: of a frame.
        where: names file and place in messages.

    Raises:
        ConversionError: one of them is not.
    """
    if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
        raise ConversionError(
            f'{where} has the size {height} x {width} (height x width); sides are 1 to '
            f'{LARGEST_SIDE} pixels.'
        )


def check_mask(mask: Any, height: int, width: int, where: str) -> None:
    """Refuse a mask that pycocotools would stumble over.

    Args:
        mask: polygons, or run lengths of any form.
        height, width: of the frame.
        where: names file and place in messages.

    Raises:
        ConversionError: it is malformed, or of another size.
    """
    try:
        fault = mask_fault(mask, height, width)
    except TypeError:
        fault = 'the size of the mask is no list'

    # pycocotools needs memory in proportion to the length of the outline
    reach = 4 * max(height, width)
    if (
        fault is None
        and isinstance(mask, list)
        and any(abs(value) > reach for polygon in mask for value in polygon)
    ):
        fault = 'a polygon of the mask has a point far outside of the frame'
    if fault is not None:
        raise ConversionError(f'{where}: {fault}.')


def check_box(box: Any, height: int, width: int, where: str) -> list[float]:
    """Refuse a box that lies outside of its frame.

    Args:
        box: [x, y, width, height] in finite numbers.
        height, width: of the frame.
        where: names file and place in messages.

    Raises:
        ConversionError: it is no such box, or lies outside.
    """
    fault = box_fault(box, height, width)
    if fault is not None:
        raise ConversionError(f'{where}: {fault}.')
    return list(box)


def as_rle(mask: Any, height: int, width: int) -> dict[str, Any]:
    """Bring a checked mask into pycocotools' form; polygons are filled and joined.

    Args:
        mask: polygons, or run lengths of any form.
        height, width: of the frame.

    Returns:
        {'size': [H, W], 'counts': bytes}.
    """
    size = [height, width]
    if isinstance(mask, list):
        polygons = [[float(value) for value in polygon] for polygon in mask]
        parts = coco_mask.frPyObjects(polygons, height, width)
        return dict(coco_mask.merge(parts))
    counts = mask['counts']
    if isinstance(counts, str):
        counts = counts.encode()
    if isinstance(counts, bytes):
        return {'size': size, 'counts': counts}
    runs = [int(run) for run in counts]
    return dict(coco_mask.frPyObjects({'size': size, 'counts': runs}, height, width))


def stored(rle: Mapping[str, Any]) -> dict[str, Any]:
    """pycocotools' run lengths as they stand in a JSON file."""
    return {'size': [int(side) for side in rle['size']], 'counts': rle['counts'].decode('ascii')}


def encoded(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """An (H, W) bool mask as run lengths for a JSON file."""
    return stored(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def joined(parts: Sequence[Any], height: int, width: int) -> Any:
    """Return the union of checked masks: polygons stay polygons where all parts are, else run
    lengths.

    Args:
        parts: lists of polygons, or run lengths.
        height, width: of the frame.
    """
    if all(isinstance(part, list) for part in parts):
        polygons = []
        for part in parts:
            polygons.extend(part)
        return polygons
    codes = [as_rle(part, height, width) for part in parts]
    union = coco_mask.merge(codes)
    return stored(union)


def number_categories(names: Sequence[str]) -> list[dict[str, Any]]:
    """Categories 1, 2, ... of a YouTube-VIS file."""
    return [
        {'id': number, 'name': name, 'supercategory': 'object'}
        for number, name in enumerate(names, 1)
    ]


def choose_classes(given: str | None, found: Sequence[str], where: str) -> list[str]:
    """Names of the classes in the order of their ids: those of ``--classes a,b``, else those that
    were found.

    Raises:
        ConversionError: a class that was found is not among the given ones.
    """
    if given is None:
        return list(dict.fromkeys(found))
    names = [name.strip() for name in given.split(',') if name.strip()]
    unknown = [name for name in found if name not in names]
    if unknown:
        raise ConversionError(
            f'{where} has an object of the class "{unknown[0]}", which is none of '
            f'{", ".join(names)}; add it to --classes.'
        )
    return names
