"""Videos whose objects are given by label images in folders: the layouts of DAVIS and of
YouTube-VOS.

    ROOT/JPEGImages/SEQ/FRAME.jpg          or ROOT/JPEGImages/480p/SEQ/FRAME.jpg (DAVIS)
    ROOT/Annotations/SEQ/FRAME.png         likewise; a frame without a file is not annotated (YouTube-VOS: every 5th is)
    ROOT/ImageSets/2016/train.txt          splits, one SEQ per line (DAVIS)

Plain functions, used by the data sets that read such folders. Only ``read_label_map`` opens an
image. Letters: H, W height and width in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmvos.io.text import read_list

_IMAGES = ('.jpg', '.jpeg', '.png')
_RESOLUTION = '480p'


@dataclass(frozen=True)
class MaskVideo:
    """One video.

    Attributes:
        name: of its folder.
        frames: paths of the frames, in the order of their names; at least one.
        masks: the frames' label images, None where a frame is not annotated.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]


def find_mask_videos(root: str | Path, split: str | Path | None = None) -> list[MaskVideo]:
    """The videos below ``root``, in the order of the split file, or of their names.

    Args:
        root: folder that holds JPEGImages and Annotations.
        split: name of a file in ROOT/ImageSets without its '.txt' ('2016/train'), or the path of a
            file, relative to ``root`` or not, with one video name per line; None for all folders.

    Raises:
        ValueError: a folder or the split file is missing, a video has no frames or no annotated
            one, or the label image of a frame has no frame; the message names it.
    """
    return [find_mask_video(root, name) for name in mask_video_names(root, split)]


def mask_video_names(root: str | Path, split: str | Path | None = None) -> list[str]:
    """The names of the videos that ``find_mask_videos`` finds; a video's own folders are not looked
    into.

    Raises:
        ValueError: a folder or the split file is missing, or there is no video.
    """
    root = Path(root)
    images, _ = _folder(root, 'JPEGImages'), _folder(root, 'Annotations')
    names = (
        sorted(entry.name for entry in images.iterdir() if entry.is_dir())
        if split is None
        else _read_split(root, split)
    )
    if not names:
        raise ValueError(f'{images if split is None else split} names no video')
    return names


def find_mask_video(root: str | Path, name: str) -> MaskVideo:
    """One video below ``root``.

    Raises:
        ValueError: it has no frames or no annotated one, or a label image has no frame.
    """
    root = Path(root)
    return _video(name, _folder(root, 'JPEGImages') / name, _folder(root, 'Annotations') / name)


def read_label_map(path: str | Path) -> NDArray[np.uint8]:
    """(H, W) uint8 object ids of a label image.

    The values of a palette image are the ids. A gray image with no other values than 0 and 255
    shows a single object and is read as 0 and 1; other gray images hold ids too.

    Raises:
        ValueError: the file is missing, damaged, or an image in color; the message names it.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ('P', 'L', '1'):
                raise ValueError(
                    f'{path} is a {image.mode} image; a label image is a palette or gray PNG whose '
                    f'values are ids'
                )
            gray = image.mode != 'P'
            # (H, W)
            labels = np.array(image.convert('L') if image.mode == '1' else image, dtype=np.uint8)
    except FileNotFoundError as error:
        raise ValueError(f'{path} is missing') from error
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG
        raise ValueError(f'{path} is not an image that can be decoded: {error}') from error
    if gray and labels.max(initial=0) == 255 and not ((labels > 0) & (labels < 255)).any():
        labels //= 255
    return labels


def object_ids(labels: NDArray[np.uint8], min_area: int = 1) -> list[int]:
    """Ids in a label map that cover at least ``min_area`` pixels, rising; neither 0 (background)
    nor 255 (void).
    """
    # a tenth of np.bincount's time
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()[1:255]
    return [int(i) + 1 for i in np.flatnonzero(counts >= max(min_area, 1))]


def _folder(root: Path, kind: str) -> Path:
    """ROOT/kind, or its 480p folder where there is one."""
    folder = root / kind
    if not folder.is_dir():
        raise ValueError(f'{folder} is no folder; data_root must hold JPEGImages and Annotations')
    return folder / _RESOLUTION if (folder / _RESOLUTION).is_dir() else folder


def _read_split(root: Path, split: str | Path) -> list[str]:
    places = (root / 'ImageSets' / f'{split}.txt', root / split, Path(split))
    for place in places:
        if place.is_file():
            return read_list(place)
    raise ValueError(f'split {str(split)!r} is neither {places[0]} nor a file')


def _video(name: str, images: Path, annotations: Path) -> MaskVideo:
    frames = {path.stem: path for path in _files(images) if path.suffix.lower() in _IMAGES}
    if not frames:
        raise ValueError(
            f'video {name}: {images} ' + ('holds no image' if images.is_dir() else 'does not exist')
        )
    masks = {path.stem: path for path in _files(annotations) if path.suffix.lower() == '.png'}
    if not masks:
        raise ValueError(
            f'video {name}: {annotations} '
            + ('holds no PNG' if annotations.is_dir() else 'does not exist')
        )
    lost = sorted(masks.keys() - frames.keys())
    if lost:
        raise ValueError(f'video {name}: {masks[lost[0]]} has no frame in {images}')
    return MaskVideo(name, tuple(frames.values()), tuple(masks.get(stem) for stem in frames))


def _files(folder: Path) -> list[Path]:
    """The folder's files by name, without hidden ones; none where there is no folder."""
    return (
        sorted(path for path in folder.iterdir() if not path.name.startswith('.'))
        if folder.is_dir()
        else []
    )
