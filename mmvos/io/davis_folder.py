"""The folders of DAVIS and YouTube-VOS: where frames, label images and lists of videos lie.

    ROOT/JPEGImages/VIDEO/FRAME.jpg      or ROOT/JPEGImages/480p/VIDEO/FRAME.jpg (DAVIS)
    ROOT/Annotations/VIDEO/FRAME.png     likewise
    ROOT/ImageSets/2017/val.txt          lists of videos, one per line (DAVIS; may be absent)

Every reader of this layout finds its folders here, so that what can be trained on can also be
scored and converted.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from .errors import DataError
from .frame_names import IMAGE_SUFFIXES, list_folders
from .paths import check_name
from .text import read_list

RESOLUTION = '480p'
# What the levels of resolutions are called.
_LEVEL = re.compile(r'[0-9]+p|Full-Resolution', re.IGNORECASE)


def find_videos_folder(root: str | Path, kind: str, resolution: str = RESOLUTION) -> Path:
    """Return the folder that holds one folder per video: ROOT/KIND/RESOLUTION, or ROOT/KIND where
    the videos lie in it without a level of resolutions.

    Args:
        root: of the data set.
        kind: 'JPEGImages', 'Annotations' or another part of it.
        resolution: the level to look for.

    Raises:
        DataError: there is no such part, or it has other resolutions only.
    """
    folder = Path(root) / kind
    if not folder.is_dir():
        raise DataError(
            f'{folder} is no folder; the root of the data must hold JPEGImages and Annotations.'
        )
    if (folder / resolution).is_dir():
        return folder / resolution
    names = [entry.name for entry in list_folders(folder)]
    levels = [name for name in names if _LEVEL.fullmatch(name)]
    if names and levels == names:
        raise DataError(
            f'{folder} has no folder {resolution}, only {", ".join(levels[:3])}; choose the '
            'resolution that is there.'
        )
    return folder


def find_split_file(root: str | Path, split: str | Path, year: int | None = None) -> Path | None:
    """Return the list of videos that a split names, None where there is no such file.

    Args:
        root: of the data set.
        split: a name in ROOT/ImageSets without '.txt' ('2016/train', or 'val' with a year), or the
            path of a file, relative to `root` or not.
        year: folder in ROOT/ImageSets.
    """
    root = Path(root)
    places = [root / 'ImageSets' / f'{split}.txt']
    if year is not None:
        places.insert(0, root / 'ImageSets' / str(year) / f'{split}.txt')
    places += [root / split, Path(split)]
    for place in places:
        if place.is_file():
            return place
    return None


def read_video_names(path: str | Path) -> list[str]:
    """Read a list of videos in its order; a video that stands there twice counts once.

    A line is the name of a video, or names a frame of it, as the first lists of DAVIS do:
    '/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png'.

    Raises:
        DataError: the file cannot be read or names no video, or a name leads out of its folder.
    """
    names = []
    for line in read_list(path):
        first_word = PurePosixPath(line.split()[0])
        is_frame = first_word.suffix.lower() in IMAGE_SUFFIXES and len(first_word.parts) > 1
        name = first_word.parent.name if is_frame else line
        names.append(check_name(name, str(path)))
    if not names:
        raise DataError(f'{path} names no video; write one video per line.')
    return list(dict.fromkeys(names))
