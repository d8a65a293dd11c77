"""The videos of a run: those of a list, or those in a folder, each with a name of its own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmvos.io.errors import DataError
from mmvos.io.frame_names import has_file, is_foreign, list_folders, natural_key
from mmvos.io.paths import check_name, user_path
from mmvos.io.text import read_list

LIST_SUFFIX = '.txt'
# Of files in a folder; a list may name files of any kind.
VIDEO_SUFFIXES = (
    *('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.mts', '.m2ts', '.ts'),
    *('.wmv', '.flv', '.ogv', '.3gp', '.mxf', '.y4m'),
)


@dataclass(frozen=True)
class Video:
    """A video of a run.

    Attributes:
        name: of the folder of its results and of its prompts, parts of a path with '/' between
            them; no two videos of a run have the same.
        path: of the file, or of the folder of frames.
        short_name: the last part of the name, where no other video has the same; else ''.
    """

    name: str
    path: Path
    short_name: str = ''


def holds_many(given: str | Path) -> bool:
    """Say whether an input is a list of videos or a folder of videos, and not one video.

    A folder with images is one video, whatever else is in it.
    """
    path = user_path(given)
    if path.suffix.lower() == LIST_SUFFIX:
        return path.is_file()
    if not path.is_dir() or has_file(path):
        return False
    if has_file(path, VIDEO_SUFFIXES):
        return True
    return any(has_file(inner) for inner in list_folders(path))


def list_videos(given: str | Path) -> list[Video]:
    """List the videos of an input for which `holds_many`.

    Args:
        given: a text file with a path in each line, relative to the file (empty lines and lines
            that begin with # are left out); or a folder of video files and of folders of frames.

    Raises:
        DataError: the list is empty or cannot be read, two lines name the same video, or a name is
            no name of a folder.
    """
    path = user_path(given)
    if path.is_dir():
        paths = _videos_in(path)
        return _named(paths, path, str(given))
    lines = [line for line in read_list(path) if not line.startswith('#')]
    if not lines:
        raise DataError(f'{given} names no video; write the path of a video in each line')
    return _named([path.parent / user_path(line) for line in lines], path.parent, str(given))


def _videos_in(folder: Path) -> list[Path]:
    """The video files in a folder, links to files that are gone too, and its folders that hold
    images.
    """
    found = []
    for path in folder.iterdir():
        # A link whose file was not fetched is a video that is missing, not none.
        is_there = path.is_file() or not path.exists()
        is_video = path.suffix.lower() in VIDEO_SUFFIXES and is_there
        if is_video and not is_foreign(path.name):
            found.append(path)
    found += [inner for inner in list_folders(folder) if has_file(inner)]
    return sorted(found, key=lambda path: natural_key(path.name))


def _named(paths: Sequence[Path], folder: Path, where: str) -> list[Video]:
    """Give each video a name: its path from ``folder`` on, without its suffix.

    Videos elsewhere are named from the folder on that they all share. Where two would have one
    name, or one would lie in the other's folder, they keep their suffixes.

    Raises:
        DataError: two are the same, or a name is no path below a folder.
    """
    # 1. Each path from the folder on that it is named from.
    whole = [Path(os.path.abspath(path)) for path in paths]
    root = Path(os.path.abspath(folder))
    elsewhere = [path.parent for path in whole if not path.is_relative_to(root)]
    shared = Path(os.path.commonpath(elsewhere)) if elsewhere else root
    relative = []
    for path in whole:
        start = root if path.is_relative_to(root) else shared
        relative.append(path.relative_to(start))

    # 2. Names without suffixes, where that is enough to tell them apart.
    plain = [_without_suffix(path, place) for path, place in zip(whole, relative, strict=True)]
    count = Counter(plain)
    parents = {parent for place in plain for parent in place.parents}
    chosen = []
    for place, short in zip(relative, plain, strict=True):
        is_unique = count[short] == 1 and short not in parents
        name = short if is_unique else place
        chosen.append(name)

    # 3. What is left of equal names is the same video twice.
    repeated = [place for place, times in Counter(chosen).items() if times > 1]
    if repeated:
        raise DataError(f'{where} names the video {repeated[0].as_posix()} twice; leave one out')
    ends = Counter(place.name for place in chosen)
    videos = []
    for path, place in zip(paths, chosen, strict=True):
        whole_name = check_name(place.as_posix(), where)
        short_name = place.name if ends[place.name] == 1 else ''
        videos.append(Video(whole_name, path, short_name))
    return videos


def _without_suffix(path: Path, place: Path) -> Path:
    """A file's name without its suffix; a folder's name may have a point in it."""
    return place if path.is_dir() or not place.suffix else place.with_suffix('')
