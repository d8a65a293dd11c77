"""MOTS text files to a YouTube-VIS annotation file:

    python tools/dataset_converters/mots_to_youtube_vis.py SEQ/gt/gt.txt [...] OUT.json [--frames
    FOLDER] [--classes 1=car,2=cat] python tools/dataset_converters/mots_to_youtube_vis.py
    instances_txt/*.txt OUT.json --frames image_02 --frame-numbers name

(the second for KITTI).

A line is "frame id class height width run-lengths". A video is named after the file, or after the
folder of ``gt/gt.txt``. Its frames are the images in FOLDER/VIDEO or FOLDER/VIDEO/img1; without
FOLDER they are 1 to the ``seqLength`` of ``seqinfo.ini``, or to the last frame of the file, and
taken to be called VIDEO/img1/000001.jpg and so on. Frame numbers are positions from 1 (MOTS
Challenge) or, with ``--frame-numbers name``, the numbers that the images are called (KITTI, from
0). Masks and ids are kept. The id 10000 marks regions to be ignored, of all classes: each class
gets a crowd object there.
"""

from __future__ import annotations

import argparse
import configparser
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tracked_videos import (
    MAX_FRAMES,
    ConversionError,
    Notes,
    TrackedObject,
    TrackedVideo,
    check_frames,
    check_mask,
    check_size,
    list_images,
    told,
)
from youtube_vis_file import write_videos

from mmvos.cli.guard import run_command
from mmvos.io.text import read_text

IGNORED = 10000
_NUMBERED = 'img1/{:06d}.jpg'


@dataclass
class MotsFile:
    """One text file: frame size, and the masks and class of every object by frame number."""

    size: tuple[int, int] | None = None
    masks: dict[int, dict[int, Any]] = field(default_factory=lambda: defaultdict(dict))
    class_of: dict[int, int] = field(default_factory=dict)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description='MOTS text files to a YouTube-VIS annotation file.'
    )
    parser.add_argument('text', type=Path, nargs='+', help='one text file per video')
    parser.add_argument('out', type=Path, help='the JSON file to write')
    parser.add_argument(
        '--frames', type=Path, help='folder with a folder of frames per video; they are checked'
    )
    parser.add_argument(
        '--frame-numbers',
        choices=('position', 'name'),
        default='position',
        help='position: frame 1 is the first image (default); name: the number the image is called',
    )
    parser.add_argument(
        '--classes',
        metavar='ID=NAME,...',
        default='1=car,2=pedestrian',
        help='(default 1=car,2=pedestrian)',
    )
    return parser.parse_args()


def parse_classes(text: str) -> dict[int, str]:
    """'1=car,2=pedestrian' as a dict.

    Raises:
        ConversionError: it has another form, or an id or a name twice.
    """
    pairs = [part.partition('=') for part in text.split(',')]
    if not all(_is_number(number.strip()) and name.strip() for number, _, name in pairs):
        raise ConversionError(f'--classes {text!r} is not of the form 1=car,2=pedestrian.')
    classes = {int(number): name.strip() for number, _, name in pairs}
    if len(set(classes.values())) < len(pairs):
        raise ConversionError(f'--classes {text!r} has an id or a name twice.')
    return classes


def _is_number(text: str) -> bool:
    """Whether a text is a whole number of at most nine digits; '²' is none."""
    return text.isascii() and text.isdigit() and len(text) < 10


def read_mots(path: Path, classes: Mapping[int, str]) -> MotsFile:
    """Reads and checks a file.

    Raises:
        ConversionError: at the first fault, with the line.
    """
    content = MotsFile()
    lines = read_text(path).split('\n')
    for number, line in enumerate(tqdm(lines, 'reading', delay=2, leave=False), 1):
        parts = line.split()
        if not parts:
            continue
        where = f'{path}, line {number}'
        if len(parts) != 6 or not all(map(_is_number, parts[:5])):
            raise ConversionError(
                f'{where} is not of the form "frame id class height width run-lengths".'
            )
        frame, object_id, class_id, height, width = map(int, parts[:5])
        check_size(height, width, where)
        content.size = content.size or (height, width)
        if content.size != (height, width):
            raise ConversionError(
                f'{where} has the size {height} x {width}, but the lines before {content.size[0]} '
                f'x '
                f'{content.size[1]} (height x width).'
            )
        if object_id != IGNORED and class_id not in classes:
            raise ConversionError(
                f'{where}: object {object_id} has the class {class_id}, which is none of --classes '
                f'({", ".join(f"{key}={name}" for key, name in classes.items())}).'
            )
        if frame in content.masks[object_id]:
            raise ConversionError(
                f'{where}: object {object_id} has a second mask in frame {frame}.'
            )
        if content.class_of.setdefault(object_id, class_id) != class_id:
            raise ConversionError(
                f'{where}: object {object_id} has the class {class_id} here and '
                f'{content.class_of[object_id]} '
                f'before.'
            )
        mask = {'size': [height, width], 'counts': parts[5]}
        check_mask(mask, height, width, where)
        content.masks[object_id][frame] = mask
    if content.size is None:
        raise ConversionError(f'{path} has no line.')
    return content


def read_video(
    path: Path, frames: Path | None, by_name: bool, classes: Mapping[int, str]
) -> TrackedVideo:
    """One video; its frames are looked for in ``frames``, see the header."""
    content = read_mots(path, classes)
    assert content.size is not None
    name = path.parent.parent.resolve().name if path.name == 'gt.txt' else path.stem
    used = sorted({frame for masks in content.masks.values() for frame in masks})
    files, numbers = _frames(path, name, frames, by_name, used[-1])
    position = {number: t for t, number in enumerate(numbers)}
    lost = [frame for frame in used if frame not in position]
    if lost:
        raise ConversionError(
            f'{path}: there is no frame {lost[0]}, the frames are {numbers[0]} to {numbers[-1]}; '
            f'choose '
            f'--frame-numbers '
            'position or name.'
        )
    by_frame = {
        number: {position[frame]: mask for frame, mask in masks.items()}
        for number, masks in sorted(content.masks.items())
    }
    ignored = by_frame.pop(IGNORED, {})
    objects = [
        TrackedObject(number, classes[content.class_of[number]], masks)
        for number, masks in by_frame.items()
    ]
    following = max([IGNORED, *by_frame]) + 1
    objects += [
        TrackedObject(following + place, category, ignored, crowd=True)
        for place, category in enumerate(classes.values() if ignored else ())
    ]
    return TrackedVideo(files, *content.size, objects, name=name)


def _frames(
    path: Path, name: str, root: Path | None, by_name: bool, last: int
) -> tuple[list[str], Sequence[int]]:
    """File names and frame numbers of a video."""
    if root is None:
        if last > MAX_FRAMES:
            raise ConversionError(f'{path}: frame {last} is beyond any video.')
        first = 0 if by_name else 1
        length = _stated_length(path) or last + 1 - first
        numbers = range(first, first + length)
        return [f'{name}/{_NUMBERED.format(number)}' for number in numbers], numbers
    folder = root / name / 'img1'
    images = list_images(folder if folder.is_dir() else root / name)
    if by_name and not all(_is_number(image.stem) for image in images):
        raise ConversionError(
            f'{images[0].parent}: not all images are called by a number; use --frame-numbers '
            f'position.'
        )
    names = [image.relative_to(root).as_posix() for image in images]
    return names, [int(image.stem) for image in images] if by_name else range(1, len(images) + 1)


def _stated_length(path: Path) -> int | None:
    """``seqLength`` of the seqinfo.ini of gt/gt.txt, None where there is none."""
    info = path.parent.parent / 'seqinfo.ini'
    if path.name != 'gt.txt' or not info.is_file():
        return None
    parser = configparser.ConfigParser()
    try:
        parser.read_string(read_text(info))
        length = parser.getint('Sequence', 'seqLength')
    except (configparser.Error, ValueError):
        length = 0
    if not 0 < length <= MAX_FRAMES:
        raise ConversionError(
            f'{info} has no seqLength from 1 to {MAX_FRAMES} in its section Sequence.'
        )
    return length


def main() -> None:
    """Converts the files into one."""
    arguments = parse_arguments()
    notes = Notes()
    with told('mots_to_youtube_vis'):
        classes = parse_classes(arguments.classes)
        videos: list[TrackedVideo] = []
        for path in arguments.text:
            videos.append(
                read_video(path, arguments.frames, arguments.frame_numbers == 'name', classes)
            )
        if arguments.frames:
            check_frames(videos, arguments.frames)
        categories = [
            {'id': number, 'name': name, 'supercategory': 'object'}
            for number, name in classes.items()
        ]
        write_videos(arguments.out, videos, categories, 'converted from MOTS', notes)
    notes.show()


if __name__ == '__main__':
    run_command('mots_to_youtube_vis', main)
