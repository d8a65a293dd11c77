"""The classes of a YouTube-VOS data set: whose class each object is, and which classes a model has
seen in training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.io.label_png import VOID
from mmvos.io.text import read_list

Classes = dict[str, dict[int, str]]  # video -> object id -> class


def read_classes(path: Path) -> Classes:
    """Read meta.json: {"videos": {video: {"objects": {id: {"category": name}}}}}.

    Raises:
        DataError: no such file, or another layout.
    """
    data = read_json(path)
    videos = data.get('videos') if isinstance(data, dict) else None
    if not isinstance(videos, dict):
        raise DataError(f'{path} has no object "videos"; give the meta.json of YouTube-VOS.')
    classes: Classes = {}
    for video, entry in videos.items():
        objects = entry.get('objects') if isinstance(entry, dict) else None
        if not isinstance(objects, dict):
            raise DataError(
                f'{path}: video {video} has no object "objects"; give the meta.json of YouTube-VOS.'
            )

        # The class of each object by its id.
        classes[video] = {}
        for text, one in objects.items():
            object_id = _object_id(text, path, video)
            classes[video][object_id] = _category(one, path, video)
    return classes


def read_seen(path: Path) -> frozenset[str]:
    """Classes that were seen in training: a text file with one class per line, or the meta.json of
    the training set.
    """
    if path.suffix == '.json':
        seen: set[str] = set()
        for objects in read_classes(path).values():
            seen.update(objects.values())
        return frozenset(seen)
    names = frozenset(read_list(path))
    if not names:
        raise DataError(f'{path} names no class; write one class per line.')
    return names


def _object_id(text: str, path: Path, video: str) -> int:
    """The number of an object; 255 marks void pixels."""
    is_number = text.isascii() and text.isdigit()
    is_short = len(text) < 4
    if is_number and is_short and 0 < int(text) < VOID:
        return int(text)
    raise DataError(f'{path}: video {video} has the object id {text[:20]!r}; ids are 1 to 254.')


def _category(entry: Any, path: Path, video: str) -> str:
    """The class of an object."""
    category = entry.get('category') if isinstance(entry, dict) else None
    if not isinstance(category, str):
        raise DataError(
            f'{path}: an object of video {video} has no "category"; give the complete meta.json.'
        )
    return category
