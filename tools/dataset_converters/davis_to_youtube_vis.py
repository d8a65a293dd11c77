"""DAVIS label PNGs to a YouTube-VIS annotation file: python
tools/dataset_converters/davis_to_youtube_vis.py DAVIS OUT.json

Nothing is lost: `youtube_vis_to_davis.py` writes the same pixel values again. The id of an object
is kept as `object_id` in its annotation, void pixels (255) as `void` in the video. Pictures stay
where they are: their root is DAVIS/JPEGImages/480p, or DAVIS/JPEGImages without such a level.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvos.cli.guard import run_command
from mmvos.datasets.youtube_vis_writer import uncompressed_rle
from mmvos.evaluation import EvaluationInputError
from mmvos.evaluation.davis import Protocol, find_ground_truth
from mmvos.evaluation.label_files import LabelImages, list_frames
from mmvos.io.atomic import write_json
from mmvos.io.davis_folder import find_videos_folder
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files
from mmvos.io.json_file import read_json
from mmvos.io.label_png import VOID, object_ids, read_label_size, void_pixels

_NO_CLASS = 'object'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='DAVIS label PNGs to a YouTube-VIS annotation file.'
    )
    parser.add_argument(
        'davis', type=Path, help='the root of DAVIS, or a folder with label PNGs per sequence'
    )
    parser.add_argument('out', type=Path, help='the JSON file')
    parser.add_argument(
        '--year',
        type=int,
        choices=(2016, 2017),
        default=2017,
        help='2016: 255 is the object, not void',
    )
    parser.add_argument(
        '--split',
        default='val',
        help='name in ImageSets/, or a file with a sequence per line (default val)',
    )
    parser.add_argument(
        '--resolution', default='480p', help='folder in Annotations/ (default 480p)'
    )
    parser.add_argument(
        '--classes',
        type=Path,
        metavar='JSON',
        help='{sequence: class} or {sequence: {object id: class}}; without it all are "object"',
    )
    return parser.parse_args()


def find_frames_folder(davis: Path, resolution: str) -> Path | None:
    """The folder of the frames, one folder per sequence: inside of the root, or beside the folder of
    label images that was given; None where there are label images only.
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
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            box = columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1
            entry['segmentations'][frame] = uncompressed_rle(mask)
            entry['bboxes'][frame] = [float(side) for side in box]
            entry['areas'][frame] = int(mask.sum())
    video = {**size, 'file_names': frame_names(name, frames, frames_folder)}
    return (video | {'void': void} if any(void) else video), dict(sorted(objects.items()))


def class_of(classes: Any, sequence: str, number: int) -> str:
    """The class of an object by the --classes file."""
    entry = classes.get(sequence) if isinstance(classes, Mapping) else None
    name = entry.get(str(number)) if isinstance(entry, Mapping) else entry
    if not isinstance(name, str):
        raise EvaluationInputError(
            f'The class file gives no class for object {number} of sequence {sequence}; add it.'
        )
    return name


def convert(
    folders: Mapping[str, Path], frames_folder: Path | None, classes: Any, objects_of_255: bool
) -> dict[str, Any]:
    """The annotation file of all sequences; `classes` None: one class for all."""
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: list[str] = []
    for video_id, (name, folder) in enumerate(
        tqdm(folders.items(), 'converting', delay=2, leave=False), 1
    ):
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


def main() -> None:
    args = parse_args()
    try:
        folders = find_ground_truth(args.davis, Protocol(args.year), args.split, args.resolution)
        classes = read_json(args.classes) if args.classes else None
        frames_folder = find_frames_folder(args.davis.resolve(), args.resolution)
        data = convert(folders, frames_folder, classes, args.year == 2016)
    except EvaluationInputError as error:
        sys.exit(f'davis_to_youtube_vis: {error}')
    write_json(args.out, data)
    print(f'{args.out}: {len(data["videos"])} videos, {len(data["annotations"])} objects')


if __name__ == '__main__':
    run_command('davis_to_youtube_vis', main)
