"""A YouTube-VIS annotation file to DAVIS label PNGs: python tools/dataset_converters/youtube_vis_to_davis.py
IN.json OUT

Writes OUT/Annotations/480p/VIDEO/FRAME.png (pixel value = object id) and OUT/ImageSets/2017/SPLIT.txt. The id
of an object is its `object_id` (as `davis_to_youtube_vis.py` writes it), or its place among the video's
annotations. Groups (iscrowd) and `void` become 255. A label image has one value per pixel, so objects that
overlap are refused unless --overlaps says who wins.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout works without being installed

from mmvos.datasets.youtube_vis_writer import write_label_png
from mmvos.evaluation import EvaluationInputError
from mmvos.evaluation.label_files import VOID
from mmvos.evaluation.youtube_vis import Video, check_ground_truth, check_masks, read_json

Masks = Sequence[dict[str, Any] | None]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='A YouTube-VIS annotation file to DAVIS label PNGs.')
    parser.add_argument('annotations', type=Path, help='annotation file in YouTube-VIS format')
    parser.add_argument('out', type=Path, help='folder to write to')
    parser.add_argument('--split', default='val', help='name of the list of sequences (default val)')
    parser.add_argument('--resolution', default='480p', help='folder in Annotations/ (default 480p)')
    parser.add_argument('--overlaps', choices=('refuse', 'smaller'), default='refuse',
                        help='smaller: where objects overlap, the smaller one gets the pixel')
    return parser.parse_args()


def object_masks(annotations: Sequence[dict[str, Any]], video: Video, where: str) -> list[tuple[int, Masks]]:
    """Pixel value and L masks of every object of one video, in the order of annotation ids.

    Raises:
        EvaluationInputError: two objects of one id, or one beyond 1..255.
    """
    used: set[int] = set()
    result: list[tuple[int, Masks]] = []
    for place, annotation in enumerate(sorted(annotations, key=lambda entry: entry['id']), 1):
        named = f'{where}, annotation {annotation["id"]}'
        group = bool(annotation.get('iscrowd'))
        value = VOID if group else annotation.get('object_id', place)
        if not isinstance(value, int) or not 0 < value <= VOID or (value in used and not group):
            raise EvaluationInputError(f'{named} has the object id {value!r}; ids are different numbers from 1 to 255.')
        used.add(value)
        result.append((value, check_masks(annotation['segmentations'], video, named)[0]))
    return result


def label_image(masks: Sequence[tuple[int, dict[str, Any]]], video: Video, overlaps: str,
                where: str) -> NDArray[np.uint8]:
    """One frame: (H, W) uint8 pixel values."""
    labels = np.zeros((video.height, video.width), np.uint8)
    decoded = [(value, coco_mask.decode(mask).astype(bool)) for value, mask in masks]
    if overlaps == 'smaller':
        decoded.sort(key=lambda pair: -np.count_nonzero(pair[1]))
    for value, mask in decoded:
        if overlaps == 'refuse' and labels[mask].any():
            raise EvaluationInputError(
                f'{where}: objects {int(labels[mask].max())} and {value} overlap, which label images '
                'cannot say; choose --overlaps smaller to give the pixels to the smaller one.')
        labels[mask] = value
    return labels


def frame_paths(entry: dict[str, Any], where: str) -> list[PurePosixPath]:
    """VIDEO/FRAME.png of every frame of a video entry, checked so that nothing is written elsewhere."""
    names = entry.get('file_names')
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise EvaluationInputError(
            f'{where} has no list "file_names"; label images are named after the pictures.')
    paths = [PurePosixPath(name).with_suffix('.png') for name in names if PurePosixPath(name).name]
    if len(set(paths)) != len(names) or any(len(path.parts) < 2 or '..' in path.parts for path in paths):
        raise EvaluationInputError(f'{where}: "file_names" must be different paths like VIDEO/FRAME.jpg.')
    return [PurePosixPath(path.parts[-2], path.name) for path in paths]


def convert(data: dict[str, Any], source: str, out: Path, overlaps: str) -> list[str]:
    """Write the label images of all videos into `out` and return the sequences' names."""
    truth = check_ground_truth(data, source)
    names = []
    for entry in tqdm(data['videos'], 'converting', delay=2, leave=False):
        video = truth.videos[entry['id']]
        where = f'{source}: video {video.id}'
        objects = object_masks([a for a in data['annotations'] if a['video_id'] == video.id], video, where)
        if entry.get('void') is not None:
            objects.append((VOID, check_masks(entry['void'], video, f'{where}, void')[0]))
        paths = frame_paths(entry, where)
        if paths[0].parts[0] in names:
            raise EvaluationInputError(f'{where}: two videos are called {paths[0].parts[0]}; rename one.')
        names.append(paths[0].parts[0])
        for frame, path in enumerate(paths):
            masks = [(value, mask) for value, all_masks in objects if (mask := all_masks[frame]) is not None]
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            write_label_png(out / path, label_image(masks, video, overlaps, f'{where}, frame {frame}'))
    return names


def main() -> None:
    args = parse_args()
    try:
        names = convert(read_json(args.annotations), str(args.annotations),
                        args.out / 'Annotations' / args.resolution, args.overlaps)
    except EvaluationInputError as error:
        sys.exit(f'youtube_vis_to_davis: {error}')
    listed = args.out / 'ImageSets' / '2017' / f'{args.split}.txt'
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text(''.join(f'{name}\n' for name in sorted(names)))
    print(f'{args.out}: {len(names)} sequences')


if __name__ == '__main__':
    main()
