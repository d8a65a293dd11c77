"""DAVIS label images: reading them as a YouTube-VIS annotation file, and writing them.

Nothing is lost: what `read` gives, `write` writes with the same pixel values. The id of an object
is kept as `object_id` in its annotation, void pixels (255) as `void` in the video. Pictures stay
where they are.

What label images cannot hold: classes, ids above 65535, and a pixel of two objects. Videos with ids
above 255 become 16-bit gray PNGs; groups (iscrowd) and void pixels become 255.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

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
    """The folder of the frames, one folder per sequence: inside of the root, or beside the folder
    of label images that was given; None where there are label images only.
    """
    if (davis / 'JPEGImages').is_dir():
        return find_videos_folder(davis, 'JPEGImages', resolution)
    if davis.name == 'Annotations' and (davis.parent / 'JPEGImages').is_dir():
        return find_videos_folder(davis.parent, 'JPEGImages', resolution)
    beside = davis.parents[1] / 'JPEGImages' / davis.name if len(davis.parents) > 1 else davis
    if davis.parent.name == 'Annotations' and beside.is_dir():
        return beside
    return None


def frame_names(name: str, labels: Mapping[str, Path], frames: Path | None) -> list[str]:
    """The file names of a sequence's frames: those that exist, .jpg where there are label images
    only.

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
    lost = [path for stem, path in labels.items() if stem not in files]
    if lost:
        raise DataError(f'{lost[0]} has no frame in {frames / name}; get the complete data.')
    return [f'{name}/{files[stem]}' for stem in labels]


def convert_sequence(
    name: str, folder: Path, frames_folder: Path | None, objects_of_255: bool
) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """One sequence: its video entry without id, and per object id an annotation without ids and
    class.

    Args:
        frames_folder: see `find_frames_folder`.
        objects_of_255: the value 255 is an object (DAVIS-2016) and not void.
    """
    frames = list_frames(folder)
    height, width = read_label_size(next(iter(frames.values())))
    size = {'height': height, 'width': width, 'length': len(frames)}
    empty = [None] * len(frames)
    objects: dict[int, dict[str, Any]] = {}
    void: list[dict[str, Any] | None] = list(empty)
    for frame, labels in enumerate(LabelImages(list(frames.values()), (height, width))):
        unknown = void_pixels(labels)
        if unknown.any() and not objects_of_255:
            void[frame] = uncompressed_rle(unknown)
        ids = object_ids(labels)
        if unknown.any() and objects_of_255:
            ids.append(VOID)
        for value in ids:
            mask = labels == value
            entry = objects.setdefault(
                value,
                {
                    'iscrowd': 0,
                    **size,
                    'object_id': value,
                    'segmentations': list(empty),
                    'bboxes': list(empty),
                    'areas': list(empty),
                },
            )
            box = tight_box(mask)
            assert box is not None
            x1, y1, x2, y2 = box
            entry['segmentations'][frame] = uncompressed_rle(mask)
            entry['bboxes'][frame] = [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]
            entry['areas'][frame] = int(mask.sum())
    video = {**size, 'file_names': frame_names(name, frames, frames_folder)}
    return (video | {'void': void} if any(void) else video), dict(sorted(objects.items()))


def class_of(classes: Any, sequence: str, number: int) -> str:
    """The class of an object by the --classes file."""
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
    """The annotation file of all sequences; `classes` None: one class for all."""
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: list[str] = []
    for video_id, (name, folder) in enumerate(with_bar(folders.items(), 'converting'), 1):
        video, objects = convert_sequence(name, folder, frames_folder, objects_of_255)
        videos.append({'id': video_id, **video})
        for number, entry in objects.items():
            names.append(_NO_CLASS if classes is None else class_of(classes, name, number))
            annotations.append({'id': len(annotations) + 1, 'video_id': video_id, **entry})
    ids = {name: number for number, name in enumerate(sorted(set(names)), 1)}
    for annotation, name in zip(annotations, names, strict=True):
        annotation['category_id'] = ids[name]
    categories = [
        {'id': number, 'name': name, 'supercategory': 'object'} for name, number in ids.items()
    ]
    return {
        'info': {'description': 'converted from DAVIS label images'},
        'licenses': [],
        'videos': videos,
        'categories': categories,
        'annotations': annotations,
    }


def pixel_values(video: TrackedVideo, ids: str, where: str) -> Iterator[tuple[int, TrackedObject]]:
    """Yields (pixel value, object) of every object of one video.

    Raises:
        ConversionError: an id beyond 1..65535, or two objects of one id.
    """
    used: set[int] = set()
    for place, item in enumerate(video.objects, 1):
        value = VOID if item.crowd else place if ids == 'number' or item.numbered else item.id
        if not 0 < value <= LARGEST_ID or (value in used and not item.crowd):
            raise ConversionError(
                f'{where}, object {item.id} has the object id {value}; ids in label images are '
                f'different '
                f'numbers from '
                f'1 to {LARGEST_ID}: choose --ids number, or leave out results with --min-score.'
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
    """Writes the label images of all videos into ``out`` and returns the sequences' names."""
    names: list[str] = []
    for video in with_bar(source.videos, 'converting'):
        where = f'{source.source}: video {video.id}'
        layers: dict[int, list[Layer]] = {}
        values = list(pixel_values(video, ids, where))
        wide = any(value > VOID for value, _ in values)
        if wide and (video.void or any(item.crowd for _, item in values)):
            raise ConversionError(
                f'{where} has more than {VOID} ids and also groups or void pixels, which label '
                'images of 16 bits cannot hold; leave one of them out.'
            )
        for value, item in values:
            for t, rle in visible(item, video, notes).items():
                layers.setdefault(t, []).append(
                    Layer(value, rle, 1.0 if item.score is None else item.score)
                )
        for t, mask in video.void.items():
            layers.setdefault(t, []).append(Layer(VOID, as_rle(mask, video.height, video.width)))
        paths = frame_paths(video, where)
        if paths[0].parts[0] in names:
            raise ConversionError(
                f'{where}: two videos are called {paths[0].parts[0]}; rename one.'
            )
        names.append(paths[0].parts[0])
        for t, path in enumerate(paths):
            labels = paint(
                layers.get(t, []), video.height, video.width, overlaps, f'{where}, frame {t}'
            )
            target = output_inside(out, str(path), where)
            write_label_png(target, labels.astype('uint16' if wide else 'uint8'))
    return names


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
    listed = out / 'ImageSets' / '2017' / f'{split}.txt'
    write_text(listed, ''.join(f'{name}\n' for name in sorted(names)))
    print(f'{out}: {len(names)} sequences')
