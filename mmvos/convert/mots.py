"""MOTS text files: reading them as videos with tracked objects, and writing them.

A line is "frame id class height width run-lengths". A video is named after the file, or after the
folder of ``gt/gt.txt``. Its frames are the images in FOLDER/VIDEO or FOLDER/VIDEO/img1; without
FOLDER they are 1 to the ``seqLength`` of ``seqinfo.ini``, or to the last frame of the file, and
taken to be called VIDEO/img1/000001.jpg and so on. Frame numbers are positions from 1 (MOTS
Challenge) or the numbers that the images are called (KITTI, from 0). Masks and ids are kept. The id
10000 marks regions to be ignored, of all classes: each class gets a crowd object there.

What MOTS cannot hold: a pixel of two objects, names of frames and of classes, and the class of
groups (iscrowd), which with void pixels become regions to be ignored.
"""

from __future__ import annotations

import configparser
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from mmvos.convert.annotation_model import (
    MAX_FRAMES,
    ConversionError,
    Notes,
    TrackedObject,
    TrackedVideo,
    as_rle,
    check_mask,
    check_size,
    encoded,
    list_images,
    stored,
)
from mmvos.convert.flatten_masks import Layer, overlap, paint
from mmvos.convert.youtube_vis import AnnotationFile, visible
from mmvos.io.atomic import write_text
from mmvos.io.paths import output_inside
from mmvos.io.progress_bar import with_bar
from mmvos.io.text import read_text

IGNORED = 10000
_NUMBERED = 'img1/{:06d}.jpg'


@dataclass
class MotsFile:
    """One text file: frame size, and the masks and class of every object by frame number."""

    size: tuple[int, int] | None = None
    masks: dict[int, dict[int, Any]] = field(default_factory=lambda: defaultdict(dict))
    class_of: dict[int, int] = field(default_factory=dict)


def parse_classes(text: str) -> dict[int, str]:
    """Parse '1=car,2=pedestrian'.

    Returns:
        The name of each class id.

    Raises:
        ConversionError: it has another form, or an id or a name twice.
    """
    classes: dict[int, str] = {}
    for part in text.split(','):
        number, _, name = part.partition('=')
        number = number.strip()
        name = name.strip()
        if not _is_number(number) or not name:
            raise ConversionError(f'--classes {text!r} is not of the form 1=car,2=pedestrian.')
        if int(number) in classes or name in classes.values():
            raise ConversionError(f'--classes {text!r} has an id or a name twice.')
        classes[int(number)] = name
    return classes


def _is_number(text: str) -> bool:
    """Whether a text is a whole number of at most nine digits; '²' is none."""
    return text.isascii() and text.isdigit() and len(text) < 10


def _read_file(path: Path, classes: Mapping[int, str]) -> MotsFile:
    """Read and check a file.

    Raises:
        ConversionError: at the first fault, with the line.
    """
    content = MotsFile()
    lines = read_text(path).split('\n')
    for number, line in enumerate(with_bar(lines, 'reading'), 1):
        parts = line.split()
        if not parts:
            continue
        where = f'{path}, line {number}'
        if len(parts) != 6 or not all(map(_is_number, parts[:5])):
            raise ConversionError(
                f'{where} is not of the form "frame id class height width run-lengths".'
            )
        frame, object_id, class_id, height, width = map(int, parts[:5])

        # All lines have one size.
        check_size(height, width, where)
        if content.size is None:
            content.size = (height, width)
        if content.size != (height, width):
            raise ConversionError(
                f'{where} has the size {height} x {width}, but the lines before {content.size[0]} '
                f'x {content.size[1]} (height x width).'
            )

        # An object has one class, and one mask in a frame.
        if object_id != IGNORED and class_id not in classes:
            known = ', '.join(f'{key}={name}' for key, name in classes.items())
            raise ConversionError(
                f'{where}: object {object_id} has the class {class_id}, which is none of --classes '
                f'({known}).'
            )
        masks = content.masks[object_id]
        if frame in masks:
            raise ConversionError(
                f'{where}: object {object_id} has a second mask in frame {frame}.'
            )
        known_class = content.class_of.setdefault(object_id, class_id)
        if known_class != class_id:
            raise ConversionError(
                f'{where}: object {object_id} has the class {class_id} here and {known_class} '
                'before.'
            )
        mask = {'size': [height, width], 'counts': parts[5]}
        check_mask(mask, height, width, where)
        masks[frame] = mask
    if content.size is None:
        raise ConversionError(f'{path} has no line.')
    return content


def read(
    path: Path, frames: Path | None, by_name: bool, classes: Mapping[int, str]
) -> TrackedVideo:
    """Read one video.

    Args:
        path: the text file.
        frames: folder of the images, see the header; None: they are named as MOTS does.
        by_name: frames are numbered as their files are called.
        classes: names by class id.

    Raises:
        ConversionError: at the first fault, with the line.
    """
    content = _read_file(path, classes)
    assert content.size is not None
    name = path.stem
    if path.name == 'gt.txt':
        name = path.parent.parent.resolve().name

    # The frames, among which all masks must be.
    used = sorted({frame for masks in content.masks.values() for frame in masks})
    files, numbers = _frames(path, name, frames, by_name, used[-1])
    position = {number: t for t, number in enumerate(numbers)}
    for frame in used:
        if frame not in position:
            raise ConversionError(
                f'{path}: there is no frame {frame}, the frames are {numbers[0]} to {numbers[-1]}; '
                'choose --frame-numbers position or name.'
            )
    by_id = {}
    for number, masks in sorted(content.masks.items()):
        by_id[number] = {position[frame]: mask for frame, mask in masks.items()}

    # What is to be ignored is a group of each class.
    ignored = by_id.pop(IGNORED, {})
    objects = []
    for number, masks in by_id.items():
        category = classes[content.class_of[number]]
        objects.append(TrackedObject(number, category, masks))
    if ignored:
        following = max([IGNORED, *by_id]) + 1
        for place, category in enumerate(classes.values()):
            objects.append(TrackedObject(following + place, category, ignored, crowd=True))
    return TrackedVideo(files, *content.size, objects, name=name)


def _frames(
    path: Path, name: str, root: Path | None, by_name: bool, last: int
) -> tuple[list[str], Sequence[int]]:
    """File names and frame numbers of a video."""
    numbers: Sequence[int]
    if root is None:
        # No images are there to be counted: MOTS' own names.
        if last > MAX_FRAMES:
            raise ConversionError(f'{path}: frame {last} is beyond any video.')
        first = 0 if by_name else 1
        length = _stated_length(path) or last + 1 - first
        numbers = range(first, first + length)
        names = [f'{name}/{_NUMBERED.format(number)}' for number in numbers]
        return names, numbers

    folder = root / name / 'img1'
    if not folder.is_dir():
        folder = root / name
    images = list_images(folder)
    names = [image.relative_to(root).as_posix() for image in images]
    if not by_name:
        return names, range(1, len(images) + 1)
    if not all(_is_number(image.stem) for image in images):
        raise ConversionError(
            f'{images[0].parent}: not all images are called by a number; use --frame-numbers '
            f'position.'
        )
    numbers = [int(image.stem) for image in images]
    return names, numbers


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
        # Refused below, as a wrong number is.
        length = 0
    if not 0 < length <= MAX_FRAMES:
        raise ConversionError(
            f'{info} has no seqLength from 1 to {MAX_FRAMES} in its section Sequence.'
        )
    return length


_IGNORED_CLASS = 10


def mots_ids(
    video: TrackedVideo, category_id: Mapping[str, int], ids: str, where: str
) -> dict[int, int]:
    """Choose the ids of a MOTS file, for the objects that are no group.

    Args:
        video: with its objects.
        category_id: ids of the classes by name.
        ids: 'keep', or 'number' for 1000 x class + 1, 2, ... as MOTS does.
        where: names the video in messages.

    Returns:
        Object id -> id in the MOTS file.

    Raises:
        ConversionError: an id has a meaning of its own in MOTS, or is negative.
    """
    chosen: dict[int, int] = {}
    counts: Counter[str] = Counter()
    for item in video.objects:
        if item.crowd:
            continue
        counts[item.category] += 1
        count = counts[item.category]
        number = item.id
        if ids == 'number':
            number = 1000 * category_id[item.category] + count
            if count > 999:
                raise ConversionError(
                    f'{where} has more than 999 objects of the class {item.category}, which MOTS '
                    'ids cannot say; keep the ids.'
                )
        if not 0 < number < 10**9 or number == IGNORED:
            raise ConversionError(
                f'{where} has an object with the id {item.id}; in MOTS ids are above 0 and '
                f'{IGNORED} is a region to be ignored: choose --ids number.'
            )
        chosen[item.id] = number
    return chosen


def lines_of_video(
    video: TrackedVideo,
    category_id: Mapping[str, int],
    ids: str,
    overlaps: str,
    where: str,
    notes: Notes,
) -> Iterator[str]:
    """Yield the lines of one text file, by frame and then id.

    Args:
        video: with its objects.
        category_id: ids of the classes by name.
        ids: see ``mots_ids``.
        overlaps: who gets a pixel of two objects, see `flatten_masks.OVERLAPS`.
        where: names the video in messages.
        notes: takes what is lost.
    """
    numbers = mots_ids(video, category_id, ids, where)
    class_of = {IGNORED: _IGNORED_CLASS}
    layers: dict[int, list[Layer]] = {}

    # The masks of each frame: objects, and what is to be ignored.
    for item in video.objects:
        if item.crowd:
            value = IGNORED
            notes.add(
                'groups (iscrowd) become regions to be ignored, without class',
                f'{where}, object {item.id}',
            )
        else:
            value = numbers[item.id]
            class_of[value] = category_id[item.category]
        score = 1.0 if item.score is None else item.score
        for t, rle in visible(item, video, notes).items():
            layers.setdefault(t, []).append(Layer(value, rle, score))
    for t, mask in video.void.items():
        rle = as_rle(mask, video.height, video.width)
        layers.setdefault(t, []).append(Layer(IGNORED, rle))

    # A line for each mask, none of which overlap.
    size = f'{video.height} {video.width}'
    for t in sorted(layers):
        masks = _separate(layers[t], video, overlaps, f'{where}, frame {t}', notes)
        for value in sorted(masks):
            counts = masks[value]['counts']
            yield f'{t + 1} {value} {class_of[value]} {size} {counts}\n'


def _separate(
    layers: list[Layer], video: TrackedVideo, overlaps: str, where: str, notes: Notes
) -> dict[int, dict[str, Any]]:
    """Id -> mask of one frame, without shared pixels."""
    masks: dict[int, dict[str, Any]] = {}
    if not overlap(layers):
        # Masks of one id are joined.
        by_value: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for layer in layers:
            by_value[layer.value].append(layer.rle)
        for value, codes in by_value.items():
            whole = codes[0] if len(codes) == 1 else coco_mask.merge(codes)
            masks[value] = stored(whole)
        return masks
    labels = paint(layers, video.height, video.width, overlaps, where)
    notes.add('frames have overlapping masks; shared pixels went to one object', where)
    for value in sorted(set(labels.ravel().tolist())):
        if value:
            masks[value] = encoded(labels == value)
    return masks


def _note_lost_names(video: TrackedVideo, notes: Notes) -> None:
    if any(Path(name).stem != f'{t:06d}' for t, name in enumerate(video.file_names, 1)):
        notes.add(
            'videos have frames that are not called 000001, 000002, ...; MOTS numbers them from '
            '1, so reading back needs --frames',
            f'video {video.folder}',
        )


def write(out: Path, source: AnnotationFile, ids: str, overlaps: str, notes: Notes) -> None:
    """Write OUT/VIDEO/gt/gt.txt and OUT/VIDEO/seqinfo.ini of every video, and say how many.

    Args:
        out: the folder.
        source: the videos; class ids are the category ids.
        ids: 'keep', or 'number' for 1000 x class + 1, 2, ... as MOTS does.
        overlaps: who gets a pixel of two objects, see `flatten_masks.OVERLAPS`.
        notes: takes what is lost.

    Raises:
        ConversionError: something that MOTS cannot hold.
    """
    category_id = {category['name']: category['id'] for category in source.categories}
    for name, number in category_id.items():
        if not 0 <= number < 10**9:
            raise ConversionError(
                f'{source.source}: the class {name} has the id {number}; MOTS ids are not negative.'
            )

    # A folder for each video: its masks, and what the images are.
    written: set[str] = set()
    for video in with_bar(source.videos, 'converting'):
        where = f'{source.source}: video {video.folder}'
        if video.folder in written:
            raise ConversionError(f'{where}: two videos have this name; rename the folder of one.')
        written.add(video.folder)
        lines = list(lines_of_video(video, category_id, ids, overlaps, where, notes))
        folder = output_inside(out, video.folder, where)
        write_text(folder / 'gt' / 'gt.txt', ''.join(lines), encoding='ascii')
        info = {
            'name': video.folder,
            'imDir': 'img1',
            'seqLength': len(video.file_names),
            'imWidth': video.width,
            'imHeight': video.height,
        }
        entries = [f'{key}={value}\n' for key, value in info.items()]
        write_text(folder / 'seqinfo.ini', '[Sequence]\n' + ''.join(entries))
        _note_lost_names(video, notes)
    print(
        f'{out}: {len(written)} videos; classes for reading them back: --classes '
        + ','.join(f'{number}={name}' for name, number in category_id.items())
    )
