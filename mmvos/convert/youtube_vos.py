"""A YouTube-VOS folder as videos with tracked objects.

The folder has JPEGImages/VIDEO/FRAME.jpg, Annotations/VIDEO/FRAME.png (pixel value = object id, 255
= void) and meta.json, which gives every object's class. Listed are the annotated frames only, every
fifth in the published training set: a null in YouTube-VIS says that an object is not visible, which
nobody knows of the others. Masks, ids, classes and void pixels are kept bit by bit. The published
validation folder has first masks only and is refused. File names are relative to JPEGImages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmvos.convert.annotation_model import (
    ConversionError,
    TrackedObject,
    TrackedVideo,
    encoded,
    value_of,
)
from mmvos.datasets.frame_files import image_fault
from mmvos.datasets.mask_folders import MaskVideo, find_mask_videos
from mmvos.io.json_file import read_json
from mmvos.io.label_png import object_ids, read_label_png, void_pixels
from mmvos.io.progress_bar import with_bar


def read_video(files: MaskVideo, meta: Any, images: Path, where: str) -> TrackedVideo:
    """Read one video with its annotated frames.

    Args:
        files: frames and label images.
        meta: the video's entry in meta.json.
        images: the folder JPEGImages.
        where: names file and video in messages.

    Raises:
        ConversionError: the files and meta.json do not agree, or an image is damaged or of another
            size.
    """
    annotated = []
    for frame, path in zip(files.frames, files.masks):
        if path is not None:
            annotated.append((frame, path))
    objects = value_of(meta, 'objects', dict, where)
    _check_listed_frames(objects, annotated, where)

    # The masks of each object by frame, and the pixels that nothing is said about.
    masks: dict[int, dict[int, Any]] = defaultdict(dict)
    void: dict[int, Any] = {}
    shape = None
    for t, (frame, path) in enumerate(annotated):
        labels = read_label_png(path)
        shape = shape or labels.shape
        if labels.shape != shape:
            raise ConversionError(
                f'{path} is {labels.shape[0]} x {labels.shape[1]}, but the first label image of '
                f'the video is {shape[0]} x {shape[1]} (height x width).'
            )
        fault = image_fault(frame, *shape)
        if fault is not None:
            raise ConversionError(f'{frame} {fault} (the label image {path}).')
        for value in object_ids(labels):
            masks[value][t] = encoded(labels == value)
        unknown = void_pixels(labels)
        if unknown.any():
            void[t] = encoded(unknown)

    # meta.json says the class of each object.
    tracked = []
    for number in sorted(masks):
        entry = objects.get(str(number))
        if entry is None:
            _, path = annotated[min(masks[number])]
            raise ConversionError(f'{where} has no object {number}, which {path} shows.')
        category = value_of(entry, 'category', str, f'{where}, object {number}')
        tracked.append(TrackedObject(number, category, masks[number]))
    assert shape is not None
    names = [frame.relative_to(images).as_posix() for frame, _ in annotated]
    height, width = shape
    return TrackedVideo(names, height, width, tracked, void=void)


def _check_listed_frames(
    objects: Mapping[str, Any], annotated: Sequence[tuple[Path, Path]], where: str
) -> None:
    """Refuse a video of which meta.json lists frames that have no label image."""
    listed: set[str] = set()
    for number, entry in objects.items():
        if isinstance(entry, Mapping) and 'frames' in entry:
            names = value_of(entry, 'frames', list, f'{where}, object {number}')
            listed.update(str(name) for name in names)
    lacking = sorted(listed - {frame.stem for frame, _ in annotated})
    if lacking:
        raise ConversionError(
            f'{where} lists frame {lacking[0]} and {len(lacking) - 1} more, which have no label '
            f'image in {annotated[0][1].parent}; the published validation set has first masks only.'
        )


def read(folder: Path, split: str | None) -> list[TrackedVideo]:
    """Read all videos of a folder.

    Args:
        folder: in the layout of YouTube-VOS.
        split: a list of videos; None: all.

    Raises:
        ConversionError: the files and meta.json do not agree, or an image is damaged.
    """
    path = folder / 'meta.json'
    meta = value_of(read_json(path), 'videos', dict, str(path))
    videos = []
    try:
        for files in with_bar(find_mask_videos(folder, split), 'reading'):
            if files.name not in meta:
                raise ConversionError(f'{path} does not list the video {files.name}.')
            images = files.frames[0].parents[1]
            where = f'{path}: video {files.name}'
            videos.append(read_video(files, meta[files.name], images, where))
    except ConversionError:
        raise
    # What readers of files say of them.
    except ValueError as error:
        raise ConversionError(f'{error}.') from None
    return videos
