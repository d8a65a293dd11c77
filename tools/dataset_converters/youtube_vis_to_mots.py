"""A YouTube-VIS annotation or results file to MOTS text files:

    python tools/dataset_converters/youtube_vis_to_mots.py IN.json OUT [--results RESULTS.json
    --min-score 0.5]
        [--overlaps smaller]

Writes OUT/VIDEO/gt/gt.txt and OUT/VIDEO/seqinfo.ini (MOTS Challenge) for every video: frames are
numbered from 1, ids are kept (``--ids number``: 1000 x class + 1, 2, ..., as MOTS does), class ids
are the category ids. Masks are kept bit by bit, polygons are filled. What MOTS cannot hold: a pixel
of two objects (refused, unless ``--overlaps`` says who gets it), names of frames and of classes,
and the class of groups (iscrowd), which with void pixels become regions to be ignored, id 10000;
notes say so. ``mots_to_youtube_vis.py`` reads the files back.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mots_to_youtube_vis import IGNORED
from one_object_per_pixel import OVERLAPS, Layer, overlap, paint
from pycocotools import mask as coco_mask
from tqdm import tqdm
from tracked_videos import ConversionError, Notes, TrackedVideo, as_rle, encoded, stored, told
from youtube_vis_file import add_source_arguments, read_source, visible

from mmvos.cli.guard import run_command
from mmvos.io.atomic import write_text
from mmvos.io.paths import output_inside

_IGNORED_CLASS = 10


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to MOTS text files.'
    )
    add_source_arguments(parser)
    parser.add_argument(
        '--ids',
        choices=('keep', 'number'),
        default='keep',
        help='number: 1000 x class + 1, 2, ... in place of the ids (default keep)',
    )
    parser.add_argument(
        '--overlaps',
        choices=OVERLAPS,
        default='refuse',
        help='who gets a pixel of two objects: nobody '
        '(default), '
        'the smaller one, or the one of the higher score',
    )
    return parser.parse_args()


def mots_ids(
    video: TrackedVideo, category_id: Mapping[str, int], ids: str, where: str
) -> dict[int, int]:
    """Object id -> id in the MOTS file, of the objects that are no group.

    Raises:
        ConversionError: an id has a meaning of its own in MOTS, or is negative.
    """
    chosen: dict[int, int] = {}
    count: dict[str, int] = {}
    for item in video.objects:
        if item.crowd:
            continue
        count[item.category] = count.get(item.category, 0) + 1
        chosen[item.id] = (
            item.id if ids == 'keep' else 1000 * category_id[item.category] + count[item.category]
        )
        if count[item.category] > 999 and ids == 'number':
            raise ConversionError(
                f'{where} has more than 999 objects of the class {item.category}, which MOTS ids '
                f'cannot say; '
                f'keep the '
                'ids.'
            )
        if not 0 < chosen[item.id] < 10**9 or chosen[item.id] == IGNORED:
            raise ConversionError(
                f'{where} has an object with the id {item.id}; in MOTS ids are above 0 and '
                f'{IGNORED} is a '
                f'region to be '
                'ignored: choose --ids number.'
            )
    return chosen


def lines_of_video(
    video: TrackedVideo,
    category_id: Mapping[str, int],
    ids: str,
    overlaps: str,
    where: str,
    notes: Notes,
) -> Iterator[str]:
    """The lines of one text file, by frame and then id."""
    numbers = mots_ids(video, category_id, ids, where)
    class_of = {
        numbers[item.id]: category_id[item.category] for item in video.objects if not item.crowd
    }
    class_of[IGNORED] = _IGNORED_CLASS
    layers: dict[int, list[Layer]] = {}
    for item in video.objects:
        value = numbers.get(item.id, IGNORED) if not item.crowd else IGNORED
        for t, rle in visible(item, video, notes).items():
            layers.setdefault(t, []).append(
                Layer(value, rle, 1.0 if item.score is None else item.score)
            )
        if item.crowd:
            notes.add(
                'groups (iscrowd) become regions to be ignored, without class',
                f'{where}, object {item.id}',
            )
    for t, mask in video.void.items():
        layers.setdefault(t, []).append(Layer(IGNORED, as_rle(mask, video.height, video.width)))
    for t in sorted(layers):
        masks = _separate(layers[t], video, overlaps, f'{where}, frame {t}', notes)
        for value in sorted(masks):
            yield f'{t + 1} {value} {class_of[value]} {video.height} {video.width} {masks[value]["counts"]}\n'


def _separate(
    layers: list[Layer], video: TrackedVideo, overlaps: str, where: str, notes: Notes
) -> dict[int, dict[str, Any]]:
    """Id -> mask of one frame, without shared pixels."""
    if not overlap(layers):
        values = {layer.value for layer in layers}
        parts = {value: [layer.rle for layer in layers if layer.value == value] for value in values}
        return {
            value: stored(rles[0] if len(rles) == 1 else coco_mask.merge(rles))
            for value, rles in parts.items()
        }
    labels = paint(layers, video.height, video.width, overlaps, where)
    notes.add('frames have overlapping masks; shared pixels went to one object', where)
    return {
        int(value): encoded(labels == value)
        for value in sorted(set(labels.ravel().tolist()))
        if value
    }


def main() -> None:
    """Writes one text file per video."""
    arguments = parse_arguments()
    notes = Notes()
    with told('youtube_vis_to_mots'):
        source = read_source(arguments)
        category_id = {category['name']: category['id'] for category in source.categories}
        for name, number in category_id.items():
            if not 0 <= number < 10**9:
                raise ConversionError(
                    f'{source.source}: the class {name} has the id {number}; MOTS ids are not '
                    f'negative.'
                )
        written: set[str] = set()
        for video in tqdm(source.videos, 'converting', delay=2, leave=False):
            where = f'{source.source}: video {video.folder}'
            if video.folder in written:
                raise ConversionError(
                    f'{where}: two videos have this name; rename the folder of one.'
                )
            written.add(video.folder)
            lines = list(
                lines_of_video(video, category_id, arguments.ids, arguments.overlaps, where, notes)
            )
            folder = output_inside(arguments.out, video.folder, where)
            write_text(folder / 'gt' / 'gt.txt', ''.join(lines), encoding='ascii')
            info = {
                'name': video.folder,
                'imDir': 'img1',
                'seqLength': len(video.file_names),
                'imWidth': video.width,
                'imHeight': video.height,
            }
            lines = ['[Sequence]\n', *(f'{key}={value}\n' for key, value in info.items())]
            write_text(folder / 'seqinfo.ini', ''.join(lines))
            _note_lost_names(video, notes)
        print(
            f'{arguments.out}: {len(written)} videos; classes for reading them back: --classes '
            + ','.join(f'{number}={name}' for name, number in category_id.items())
        )
    notes.show()


def _note_lost_names(video: TrackedVideo, notes: Notes) -> None:
    if any(Path(name).stem != f'{t:06d}' for t, name in enumerate(video.file_names, 1)):
        notes.add(
            'videos have frames that are not called 000001, 000002, ...; MOTS numbers them from 1, '
            'so reading back needs '
            '--frames',
            f'video {video.folder}',
        )


if __name__ == '__main__':
    run_command('youtube_vis_to_mots', main)
