"""DAVIS label images: reading them as a YouTube-VIS annotation file, and writing them.

Nothing is lost: what `read` gives, `write` writes with the same pixel values. The id of an object
is kept as `object_id` in its annotation, void pixels (255) as `void` in the video. Pictures stay
where they are.

What label images cannot hold: classes, ids above 65535, and a pixel of two objects. Videos with ids
above 255 become 16-bit gray PNGs; groups (iscrowd) and void pixels become 255.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.convert.annotation_model import (
    ConversionError,
    Notes,
    TrackedObject,
    TrackedVideo,
    as_rle,
)
from mmvos.convert.flatten_masks import Layer, paint
from mmvos.convert.youtube_vis import AnnotationFile, visible
from mmvos.datasets.youtube_vis_writer import uncompressed_rle
from mmvos.evaluation.label_files import LabelImages, list_frames
from mmvos.io.atomic import write_text
from mmvos.io.davis_folder import find_videos_folder
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files
from mmvos.io.label_png import (
    LARGEST_ID,
    VOID,
    object_ids,
    read_label_size,
    void_pixels,
    write_label_png,
)
from mmvos.io.paths import output_inside
from mmvos.io.progress_bar import with_bar
from mmvos.structures.rle import tight_box

_NO_CLASS = 'object'


def find_frames_folder(davis: Path, resolution: str) -> Path | None:
    """Find the folder of the frames, one folder per sequence.

    Args:
        davis: a root in the layout of DAVIS, or the folder of its label images.
        resolution: 480p or another name of a folder.

    Returns:
        The folder inside of the root, or beside the folder of label images that was given; None
        where there are label images only.
    """
    if (davis / 'JPEGImages').is_dir():
        return find_videos_folder(davis, 'JPEGImages', resolution)
    above = davis.parent
    # ROOT/Annotations was given
    if davis.name == 'Annotations' and (above / 'JPEGImages').is_dir():
        return find_videos_folder(above, 'JPEGImages', resolution)
    # ROOT/Annotations/480p was given
    if above.name == 'Annotations':
        beside = above.parent / 'JPEGImages' / davis.name
        if beside.is_dir():
            return beside
    return None


def frame_names(name: str, labels: Mapping[str, Path], frames: Path | None) -> list[str]:
    """Return the file names of a sequence's frames: those that exist, .jpg where there are label
    images only.

    Args:
        name: of the sequence.
        labels: label images by stem.
        frames: see `find_frames_folder`.

    Raises:
        DataError: a label image has no frame.
    """
    if frames is None:
        return [f'{name}/{stem}.jpg' for stem in labels]
    files = {path.stem: path.name for path in list_files(frames / name)}
    names = []
    for stem, label in labels.items():
        if stem not in files:
            raise DataError(f'{label} has no frame in {frames / name}; get the complete data.')
        names.append(f'{name}/{files[stem]}')
    return names


def convert_sequence(
    name: str, folder: Path, frames_folder: Path | None, objects_of_255: bool
) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """Convert one sequence.

    Args:
        name: of the sequence.
        folder: of its label images.
        frames_folder: see `find_frames_folder`.
        objects_of_255: the value 255 is an object (DAVIS-2016) and not void.

    Returns:
        Its video entry without id, and per object id an annotation without ids and class.

    Raises:
        DataError: a label image has no frame or cannot be read.
    """
    frames = list_frames(folder)
    paths = list(frames.values())
    height, width = read_label_size(paths[0])
    size = {'height': height, 'width': width, 'length': len(paths)}

    objects: dict[int, dict[str, Any]] = {}
    void: list[dict[str, Any] | None] = [None] * len(paths)
    for frame, labels in enumerate(LabelImages(paths, (height, width))):
        # 255 is an object or void.
        ids = object_ids(labels)
        unknown = void_pixels(labels)
        if unknown.any():
            if objects_of_255:
                ids.append(VOID)
            else:
                void[frame] = uncompressed_rle(unknown)
        for object_id in ids:
            if object_id not in objects:
                objects[object_id] = _empty_annotation(object_id, size)
            _add_mask(objects[object_id], frame, labels == object_id)

    video = {**size, 'file_names': frame_names(name, frames, frames_folder)}
    if any(void):
        video['void'] = void
    return video, dict(sorted(objects.items()))


def _empty_annotation(object_id: int, size: Mapping[str, int]) -> dict[str, Any]:
    """Return the annotation of an object that no frame shows so far."""
    length = size['length']
    return {
        'iscrowd': 0,
        **size,
        'object_id': object_id,
        'segmentations': [None] * length,
        'bboxes': [None] * length,
        'areas': [None] * length,
    }


def _add_mask(annotation: dict[str, Any], frame: int, mask: NDArray[np.bool_]) -> None:
    """Add the mask (H, W), not empty, of one frame to an annotation."""
    box = tight_box(mask)
    assert box is not None
    x1, y1, x2, y2 = box
    width = x2 - x1
    height = y2 - y1
    annotation['segmentations'][frame] = uncompressed_rle(mask)
    annotation['bboxes'][frame] = [float(x1), float(y1), float(width), float(height)]
    annotation['areas'][frame] = int(mask.sum())


def class_of(classes: Any, sequence: str, number: int) -> str:
    """Return the class of an object by the --classes file.

    Args:
        classes: the file's content: of each sequence one class, or one of each object.
        sequence: its name.
        number: id of the object.

    Raises:
        DataError: the file does not say it.
    """
    entry = classes.get(sequence) if isinstance(classes, Mapping) else None
    name = entry.get(str(number)) if isinstance(entry, Mapping) else entry
    if not isinstance(name, str):
        raise DataError(
            f'The class file gives no class for object {number} of sequence {sequence}; add it.'
        )
    return name


def read(
    folders: Mapping[str, Path], frames_folder: Path | None, classes: Any, objects_of_255: bool
) -> dict[str, Any]:
    """Make the annotation file of all sequences.

    Args:
        folders: of label images by the names of the sequences.
        frames_folder: see `find_frames_folder`.
        classes: of the sequences or of their objects; None: one class for all.
        objects_of_255: the value 255 is an object (DAVIS-2016) and not void.

    Raises:
        DataError: a label image has no frame or cannot be read, or an object has no class.
    """
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: list[str] = []
    sequences = with_bar(folders.items(), 'converting')
    for video_id, (sequence, folder) in enumerate(sequences, 1):
        video, objects = convert_sequence(sequence, folder, frames_folder, objects_of_255)
        videos.append({'id': video_id, **video})
        for number, entry in objects.items():
            name = _NO_CLASS
            if classes is not None:
                name = class_of(classes, sequence, number)
            names.append(name)
            annotations.append({'id': len(annotations) + 1, 'video_id': video_id, **entry})

    # The classes that occur are numbered in the order of their names.
    ids = {name: number for number, name in enumerate(sorted(set(names)), 1)}
    for annotation, name in zip(annotations, names, strict=True):
        annotation['category_id'] = ids[name]
    categories = []
    for name, number in ids.items():
        categories.append({'id': number, 'name': name, 'supercategory': 'object'})
    return {
        'info': {'description': 'converted from DAVIS label images'},
        'licenses': [],
        'videos': videos,
        'categories': categories,
        'annotations': annotations,
    }


def pixel_values(video: TrackedVideo, ids: str, where: str) -> Iterator[tuple[int, TrackedObject]]:
    """Yield (pixel value, object) of every object of one video.

    Raises:
        ConversionError: an id beyond 1..65535, or two objects of one id.
    """
    used: set[int] = set()
    for place, item in enumerate(video.objects, 1):
        value = VOID if item.crowd else place if ids == 'number' or item.numbered else item.id
        if not 0 < value <= LARGEST_ID or (value in used and not item.crowd):
            raise ConversionError(
                f'{where}, object {item.id} has the object id {value}; ids in label images are '
                f'different numbers from 1 to {LARGEST_ID}: choose --ids number, or leave out '
                'results with --min-score.'
            )
        used.add(value)
        yield value, item


def frame_paths(video: TrackedVideo, where: str) -> list[PurePosixPath]:
    """VIDEO/FRAME.png of every frame, checked so that nothing is written elsewhere."""
    paths = [
        PurePosixPath(name).with_suffix('.png')
        for name in video.file_names
        if PurePosixPath(name).name
    ]
    if len({path.name for path in paths}) != len(video.file_names) or any(
        len(path.parts) < 2 or '..' in path.parts for path in paths
    ):
        raise ConversionError(
            f'{where}: "file_names" must be different paths like VIDEO/FRAME.jpg.'
        )
    return [PurePosixPath(video.folder, path.name) for path in paths]


def write_label_images(
    source: AnnotationFile, out: Path, ids: str, overlaps: str, notes: Notes
) -> list[str]:
    """Write the label images of all videos.

    Args:
        source: the videos.
        out: folder with a folder per sequence.
        ids: 'keep', or 'number' for 1, 2, ... in each video.
        overlaps: who gets a pixel of two objects, see `flatten_masks.OVERLAPS`.
        notes: takes what is left out.

    Returns:
        The names of the sequences.

    Raises:
        ConversionError: something that label images cannot hold, or two videos of one name.
    """
    names: list[str] = []
    for video in with_bar(source.videos, 'converting'):
        where = f'{source.source}: video {video.id}'
        values = list(pixel_values(video, ids, where))
        dtype = _label_type(video, values, where)
        layers = _layers_of(video, values, notes)

        # The folder of a sequence is that of its frames.
        paths = frame_paths(video, where)
        name = paths[0].parts[0]
        if name in names:
            raise ConversionError(f'{where}: two videos are called {name}; rename one.')
        names.append(name)

        for t, path in enumerate(paths):
            place = f'{where}, frame {t}'
            labels = paint(layers.get(t, []), video.height, video.width, overlaps, place)
            target = output_inside(out, str(path), where)
            write_label_png(target, labels.astype(dtype))
    return names


def _label_type(
    video: TrackedVideo, values: Sequence[tuple[int, TrackedObject]], where: str
) -> str:
    """Return the type of a video's label images: 16 bits where an id needs them.

    Raises:
        ConversionError: it has void pixels too, which only 8 bits can hold.
    """
    if all(value <= VOID for value, _ in values):
        return 'uint8'
    has_crowd = any(item.crowd for _, item in values)
    if video.void or has_crowd:
        raise ConversionError(
            f'{where} has more than {VOID} ids and also groups or void pixels, which label '
            'images of 16 bits cannot hold; leave one of them out.'
        )
    return 'uint16'


def _layers_of(
    video: TrackedVideo, values: Sequence[tuple[int, TrackedObject]], notes: Notes
) -> dict[int, list[Layer]]:
    """Return what is painted in each frame: the masks of the objects, then void pixels."""
    layers: dict[int, list[Layer]] = {}
    for value, item in values:
        score = 1.0 if item.score is None else item.score
        for t, rle in visible(item, video, notes).items():
            layers.setdefault(t, []).append(Layer(value, rle, score))
    for t, mask in video.void.items():
        rle = as_rle(mask, video.height, video.width)
        layers.setdefault(t, []).append(Layer(VOID, rle))
    return layers


def write(
    out: Path,
    source: AnnotationFile,
    split: str,
    resolution: str,
    ids: str,
    overlaps: str,
    notes: Notes,
) -> None:
    """Write Annotations/RESOLUTION/VIDEO/FRAME.png and ImageSets/2017/SPLIT.txt, and say how many.

    Args:
        out: the folder.
        source: the videos.
        split: name of the list of sequences.
        resolution: folder in Annotations.
        ids: 'keep', or 'number' for 1, 2, ... in each video.
        overlaps: who gets a pixel of two objects, see `flatten_masks.OVERLAPS`.
        notes: takes what is left out.

    Raises:
        ConversionError: something that label images cannot hold.
    """
    folder = out / 'Annotations' / resolution
    names = write_label_images(source, folder, ids, overlaps, notes)
    lines = [f'{name}\n' for name in sorted(names)]
    listed = out / 'ImageSets' / '2017' / f'{split}.txt'
    write_text(listed, ''.join(lines))
    print(f'{out}: {len(names)} sequences')
