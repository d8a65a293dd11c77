"""The classes of a YouTube-VOS data set: whose class each object is, and which classes a model has
seen in training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmvos.io.json_file import read_json
from mmvos.io.text import read_list

from ..input_error import EvaluationInputError

Classes = dict[str, dict[int, str]]  # video -> object id -> class


def read_classes(path: Path) -> Classes:
    """Read meta.json: {"videos": {video: {"objects": {id: {"category": name}}}}}.

    Raises:
        EvaluationInputError: no such file, or another layout.
    """
    data = read_json(path)
    videos = data.get('videos') if isinstance(data, dict) else None
    if not isinstance(videos, dict):
        raise EvaluationInputError(
            f'{path} has no object "videos"; give the meta.json of YouTube-VOS.'
        )
    classes: Classes = {}
    for video, entry in videos.items():
        objects = entry.get('objects') if isinstance(entry, dict) else None
        if not isinstance(objects, dict):
            raise EvaluationInputError(
                f'{path}: video {video} has no object "objects"; give the meta.json of YouTube-VOS.'
            )
        classes[video] = {
            _number(i, path, video): _category(one, path, video) for i, one in objects.items()
        }
    return classes


def read_seen(path: Path) -> frozenset[str]:
    """Classes that were seen in training: a text file with one class per line, or the meta.json of
    the training set.
    """
    if path.suffix == '.json':
        return frozenset(
            name for objects in read_classes(path).values() for name in objects.values()
        )
    names = frozenset(read_list(path))
    if not names:
        raise EvaluationInputError(f'{path} names no class; write one class per line.')
    return names


def _number(text: str, path: Path, video: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:4]) < 255 and len(text) < 4):
        raise EvaluationInputError(
            f'{path}: video {video} has the object id {text[:20]!r}; ids are 1 to 254.'
        )
    return int(text)


def _category(entry: Any, path: Path, video: str) -> str:
    category = entry.get('category') if isinstance(entry, dict) else None
    if not isinstance(category, str):
        raise EvaluationInputError(
            f'{path}: an object of video {video} has no "category"; give the complete meta.json.'
        )
    return category
