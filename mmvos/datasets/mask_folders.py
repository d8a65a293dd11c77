"""Videos whose objects are given by label images in folders: the layouts of DAVIS and of
YouTube-VOS.

    ROOT/JPEGImages/SEQ/FRAME.jpg          or ROOT/JPEGImages/480p/SEQ/FRAME.jpg (DAVIS)
    ROOT/Annotations/SEQ/FRAME.png         likewise; a frame without a file is not annotated
    ROOT/ImageSets/2016/train.txt          splits, one SEQ per line (DAVIS)

Plain functions, used by the data sets that read such folders. Only the headers of images are read,
and those only where sizes are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmvos.io.davis_folder import find_split_file, find_videos_folder, read_video_names
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files, list_folders
from mmvos.io.label_png import read_label_size
from mmvos.io.paths import path_inside

from .frame_files import image_fault

_FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')


@dataclass(frozen=True)
class MaskVideo:
    """One video.

    Attributes:
        name: of its folder.
        frames: paths of the frames, in the natural order of their names; at least one.
        masks: the frames' label images, None where a frame is not annotated.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]


def find_mask_videos(root: str | Path, split: str | Path | None = None) -> list[MaskVideo]:
    """Find the videos below ``root``, in the order of the split file, or of their names.

    Args:
        root: folder that holds JPEGImages and Annotations.
        split: name of a file in ROOT/ImageSets without its '.txt' ('2016/train'), or the path of a
            file, relative to ``root`` or not, with one video name per line; None for all folders.

    Raises:
        DataError: a folder or the split file is missing, a video has no frames or no annotated
            one, or the label image of a frame has no frame; the message names it.
    """
    return [find_mask_video(root, name) for name in mask_video_names(root, split)]


def mask_video_names(root: str | Path, split: str | Path | None = None) -> list[str]:
    """List the names of the videos; their own folders are not looked into.

    Raises:
        DataError: a folder or the split file is missing, or there is no video.
    """
    images = find_videos_folder(root, 'JPEGImages')
    find_videos_folder(root, 'Annotations')
    if split is None:
        names = [folder.name for folder in list_folders(images)]
        if not names:
            raise DataError(f'{images} names no video')
        return names
    path = find_split_file(root, split)
    if path is None:
        raise DataError(
            f'split {str(split)!r} is neither {Path(root, "ImageSets", f"{split}.txt")} nor a file'
        )
    return read_video_names(path)


def find_mask_video(root: str | Path, name: str) -> MaskVideo:
    """Find one video below ``root``.

    Raises:
        DataError: it has no frames or no annotated one, or a label image has no frame.
    """
    where = str(root)
    images = path_inside(find_videos_folder(root, 'JPEGImages'), name, where)
    annotations = path_inside(find_videos_folder(root, 'Annotations'), name, where)
    # Frames and label images belong together by their names.
    frames = _by_stem(images, _FRAME_SUFFIXES, name)
    if not frames:
        fault = 'holds no image' if images.is_dir() else 'does not exist'
        raise DataError(f'video {name}: {images} {fault}')
    masks = _by_stem(annotations, ('.png',), name)
    if not masks:
        fault = 'holds no PNG' if annotations.is_dir() else 'does not exist'
        raise DataError(f'video {name}: {annotations} {fault}')
    for stem, path in masks.items():
        if stem not in frames:
            raise DataError(f'video {name}: {path} has no frame in {images}')
    masks_of_frames = tuple(masks.get(stem) for stem in frames)
    return MaskVideo(name, tuple(frames.values()), masks_of_frames)


def check_sizes(video: MaskVideo) -> None:
    """Refuse a video whose frames and label images are not all of one size, by their headers.

    Args:
        video: with at least one label image.

    Raises:
        DataError: at the first file that is damaged or of another size than the first label image.
    """
    first, *others = [path for path in video.masks if path is not None]
    height, width = read_label_size(first)
    for path in others:
        other_height, other_width = read_label_size(path)
        if (other_height, other_width) != (height, width):
            raise DataError(
                f'video {video.name}: {path} is {other_width}x{other_height} but {first.name} is '
                f'{width}x{height}; all label images and frames of a video have one size.'
            )
    for path in video.frames:
        fault = image_fault(path, height, width)
        if fault is not None:
            fault = fault.replace('the annotation file says', f'{first} is')
            raise DataError(f'video {video.name}: {path} {fault}.')


def _by_stem(folder: Path, suffixes: Sequence[str], video: str) -> dict[str, Path]:
    """The files of a folder by their names without suffix, in natural order.

    Raises:
        DataError: two files differ in their suffix only.
    """
    found: dict[str, Path] = {}
    for path in list_files(folder, suffixes):
        if path.stem in found:
            raise DataError(
                f'video {video}: {found[path.stem]} and {path.name} are one frame twice; remove '
                'one of them.'
            )
        found[path.stem] = path
    return found
