"""Label images in folders: what is scored against what, frame by frame.

    SEQUENCE/FRAME.png            the values are object ids (DAVIS, YouTube-VOS)
    SEQUENCE/OBJECT/FRAME.png     results only: a mask of one object each, as SAM 2 and DEVA write
                                  them; there a pixel may belong to several objects
    SEQUENCE/masks/FRAME.png      results only: label images, as `mmvos segment` writes them

What the values of an image mean stands in `mmvos.io.label_png`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.io.frame_names import has_file, list_files, list_folders, sort_frames
from mmvos.io.label_png import (
    VOID,
    Labels,
    merge_objects,
    object_ids,
    read_label_png,
    read_label_size,
    values_in,
    void_pixels,
)

_PNG = ('.png',)
_MOST_DIGITS = 5  # of a folder named after an object
_SEGMENTED = 'masks'  # folder of the label images of a video that `mmvos segment` has written


@dataclass(frozen=True)
class ObjectFiles:
    """The masks of one frame in one file per object; `files` by object id."""

    files: Mapping[int, Path]

    def __str__(self) -> str:
        one = next(iter(self.files.values()))
        return str(one.parents[1] / '*' / one.name)


@dataclass(frozen=True)
class ObjectMasks:
    """The result of one frame as a mask (H, W) bool per object; masks may overlap."""

    masks: Mapping[int, NDArray[np.bool_]]


ResultFile: TypeAlias = Path | ObjectFiles
FrameLabels: TypeAlias = Labels | ObjectMasks


def list_sequences(root: Path, results: bool = False) -> dict[str, Path]:
    """List the folders in `root` that hold at least one PNG, by name in sorted order.

    Args:
        root: folder with one folder per sequence.
        results: folders per object inside of a sequence count, too.

    Raises:
        DataError: no such folder, or none in it.
    """
    if not root.is_dir():
        raise DataError(f'{root} is no folder; give the folder that holds one folder per sequence.')
    found = {}
    for folder in list_folders(root):
        if has_file(folder, _PNG) or (results and _object_folders(folder)):
            found[folder.name] = folder
        elif results and has_file(folder / _SEGMENTED, _PNG):
            found[folder.name] = folder / _SEGMENTED
    if not found:
        raise DataError(
            f'{root} holds no folder with PNG files; give the folder with one folder per sequence.'
        )
    return found


def list_frames(folder: Path) -> dict[str, Path]:
    """PNG files of a sequence by stem, in natural order."""
    return {path.stem: path for path in list_files(folder, _PNG)}


def list_results(folder: Path) -> dict[str, ResultFile]:
    """List the results of a sequence by the stem of the frame.

    They are label images, or the masks of the folders per object where there is no label image.
    """
    frames = list_frames(folder)
    if frames:
        return dict(frames)

    by_frame: dict[str, dict[int, Path]] = {}
    for object_id, object_folder in _object_folders(folder).items():
        masks = list_frames(object_folder)
        for stem, path in masks.items():
            by_frame.setdefault(stem, {})[object_id] = path
    results: dict[str, ResultFile] = {}
    for stem in sort_frames(by_frame, folder):
        results[stem] = ObjectFiles(by_frame[stem])
    return results


def check_sequences(truth: dict[str, Path], results: dict[str, Path], root: Path) -> None:
    """Refuse results that lack a sequence of the ground truth or have one that it does not list.

    Args:
        truth: sequences of the ground truth.
        results: those of the results.
        root: of the results, for messages.

    Raises:
        DataError: it is so.
    """
    missing = truth.keys() - results.keys()
    extra = results.keys() - truth.keys()
    not_listed = 'which the ground truth does not list; remove it or choose the split'
    for names, problem, remedy in (
        (missing, 'lacks', 'predict every sequence'),
        (extra, 'has', not_listed),
    ):
        if names:
            more = f' and {len(names) - 1} more' if len(names) > 1 else ''
            raise DataError(f'{root} {problem} the sequence {min(names)}{more}: {remedy}.')


def check_complete(expected: Collection[str], found: Collection[str]) -> None:
    """Refuse to score a part of a split.

    Args:
        expected: names of the videos that count.
        found: names of those that have results.

    Raises:
        DataError: one has none.
    """
    missing = sorted(set(expected) - set(found))
    if missing:
        raise DataError(
            f'{len(missing)} videos of the split have no result, the first is {missing[0]}.'
        )


def check_frames(
    truth: Mapping[str, Path],
    given: Mapping[str, ResultFile],
    folder: Path,
    optional: set[str],
) -> None:
    """Refuse a sequence of results without one of the frames, or with one that the ground truth
    does not have.

    Args:
        truth: frames of the ground truth by stem.
        given: frames of the results by stem.
        folder: of the results, for messages.
        optional: stems that may be missing.
    """
    missing = [name for name in truth if name not in given and name not in optional]
    if missing:
        raise DataError(
            f'{folder} lacks frame {missing[0]}.png and {len(missing) - 1} more; write one PNG '
            'per frame of the ground truth, under the same names.'
        )
    extra = [name for name in given if name not in truth]
    if extra:
        raise DataError(
            f'{folder} has frame {extra[0]}.png and {len(extra) - 1} more that the ground truth '
            'does not have; remove them or use the same frame names.'
        )


def check_truth(paths: Sequence[Path]) -> None:
    """Refuse a sequence of the ground truth whose label images are not all of one size, or of which
    one is none; only headers are read.
    """
    shape = read_label_size(paths[0])
    for path in paths[1:]:
        _check_shape(path, read_label_size(path), shape)


def read_labels(path: Path, shape: tuple[int, int] | None = None) -> Labels:
    """Read one label image that must have the size (H, W) `shape`.

    Raises:
        DataError: another size, or see `read_label_png`.
    """
    labels = read_label_png(path)
    if shape is not None:
        _check_shape(path, labels.shape, shape)
    return labels


def read_result(file: ResultFile, shape: tuple[int, int]) -> FrameLabels:
    """Read the result of one frame: a label image, or the masks of its objects.

    Raises:
        DataError: see `read_labels`; also a mask of one object that shows several.
    """
    if isinstance(file, Path):
        return read_labels(file, shape)
    masks: dict[int, NDArray[np.bool_]] = {}
    for object_id, path in file.files.items():
        labels = read_labels(path, shape)
        values = [value for value in values_in(labels) if value > 0]
        if len(values) > 1:
            raise DataError(
                f'{path} lies in the folder of object {object_id} but shows several objects '
                f'({", ".join(map(str, values[:5]))}); write one mask per file, or label images '
                'without folders of objects.'
            )
        masks[object_id] = np.asarray(labels > 0)
    return ObjectMasks(masks)


def ids_in(labels: FrameLabels) -> list[int]:
    """Object ids that occur, rising; neither background nor void."""
    if not isinstance(labels, ObjectMasks):
        return object_ids(labels)
    occurring = []
    for object_id, mask in labels.masks.items():
        if mask.any():
            occurring.append(object_id)
    return sorted(occurring)


def has_void(labels: FrameLabels) -> bool:
    """Whether a frame has void pixels."""
    return not isinstance(labels, ObjectMasks) and bool(void_pixels(labels).any())


def marked_ids(labels: FrameLabels) -> list[int]:
    """Object ids that occur, and `VOID` where there are void pixels."""
    ids = ids_in(labels)
    if has_void(labels):
        ids.append(VOID)
    return ids


def mask_of(labels: FrameLabels, object_id: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of one object, empty where it does not occur.

    Args:
        labels: of one frame.
        object_id: its id.
        shape: (H, W).
    """
    if not isinstance(labels, ObjectMasks):
        return np.asarray(labels == object_id)
    mask = labels.masks.get(object_id)
    if mask is None:
        return np.zeros(shape, dtype=np.bool_)
    return mask


def merged_truth(labels: Labels) -> NDArray[np.uint8]:
    """All objects as object 1 (DAVIS-2016); void is background."""
    return merge_objects(labels)


def merged_result(labels: FrameLabels, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """All objects as object 1 (DAVIS-2016); whatever is not background is an object."""
    if not isinstance(labels, ObjectMasks):
        return np.asarray(labels > 0).astype(np.uint8)
    union = np.zeros(shape, dtype=np.bool_)
    for mask in labels.masks.values():
        union |= mask
    return union.astype(np.uint8)


class LabelImages(Sequence[Labels]):
    """Label images of a ground truth that are read when they are asked for, so that one frame is in
    memory at a time.
    """

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int]) -> None:
        self.paths = paths
        self.shape = shape

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, frame: int) -> Labels:  # type: ignore[override]
        return read_labels(self.paths[frame], self.shape)


class ResultImages(Sequence[FrameLabels]):
    """Results that are read when they are asked for, as `LabelImages`."""

    def __init__(self, files: Sequence[ResultFile], shape: tuple[int, int]) -> None:
        self.files = files
        self.shape = shape

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, frame: int) -> FrameLabels:  # type: ignore[override]
        return read_result(self.files[frame], self.shape)


def _object_folders(folder: Path) -> dict[int, Path]:
    """The folders of a sequence that are named after an object id and hold PNGs, by id.

    Raises:
        DataError: two of them are of one object, or one is called 0.
    """
    found: dict[int, Path] = {}
    for inside in list_folders(folder):
        name = inside.name
        is_id = name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS
        if not is_id or not has_file(inside, _PNG):
            continue

        # 01 and 1 name the same object.
        object_id = int(name)
        if object_id == 0:
            raise DataError(
                f'{inside} is a folder of object 0, which is the background; name the folders '
                'after the ids of the ground truth, from 1 on.'
            )
        if object_id in found:
            raise DataError(
                f'{found[object_id]} and {inside.name} are both folders of object {object_id}; '
                'remove one.'
            )
        found[object_id] = inside
    return found


def _check_shape(path: Path, size: tuple[int, ...], shape: tuple[int, int]) -> None:
    if size != shape:
        raise DataError(
            f'{path} is {size[0]} x {size[1]} but the ground truth is {shape[0]} x {shape[1]} '
            '(height x width); write label images at the size of the ground truth.'
        )
