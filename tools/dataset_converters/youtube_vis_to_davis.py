"""A YouTube-VIS annotation or results file to DAVIS label PNGs:

    python tools/dataset_converters/youtube_vis_to_davis.py IN.json OUT [--results RESULTS.json
    --min-score 0.5]
        [--overlaps smaller]

Writes OUT/Annotations/480p/VIDEO/FRAME.png (pixel value = object id) and
OUT/ImageSets/2017/SPLIT.txt. The id of an object is its ``object_id`` (as the converters into
YouTube-VIS write it), or its place among the video's annotations. Groups (iscrowd) and ``void``
become 255. Videos with ids above 255 become 16-bit gray PNGs. What label images cannot hold:
classes, ids above 65535 (refused, unless ``--ids number`` numbers the objects of each video from
1), and a pixel of two objects
(refused, unless ``--overlaps`` says who gets it).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from one_object_per_pixel import OVERLAPS, Layer, paint
from tqdm import tqdm
from tracked_videos import ConversionError, Notes, TrackedObject, TrackedVideo, as_rle, told
from youtube_vis_file import AnnotationFile, add_source_arguments, read_source, visible

from mmvos.cli.guard import run_command
from mmvos.io.atomic import write_text
from mmvos.io.label_png import LARGEST_ID, VOID, write_label_png
from mmvos.io.paths import output_inside


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to DAVIS label PNGs.'
    )
    add_source_arguments(parser)
    parser.add_argument(
        '--split', default='val', help='name of the list of sequences (default val)'
    )
    parser.add_argument(
        '--resolution', default='480p', help='folder in Annotations/ (default 480p)'
    )
    parser.add_argument(
        '--ids',
        choices=('keep', 'number'),
        default='keep',
        help='number: the objects of each video are numbered from 1 (default keep)',
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
    for video in tqdm(source.videos, 'converting', delay=2, leave=False):
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


def main() -> None:
    """Writes the label images and the list of sequences."""
    arguments = parse_arguments()
    notes = Notes()
    with told('youtube_vis_to_davis'):
        names = write_label_images(
            read_source(arguments),
            arguments.out / 'Annotations' / arguments.resolution,
            arguments.ids,
            arguments.overlaps,
            notes,
        )
        listed = arguments.out / 'ImageSets' / '2017' / f'{arguments.split}.txt'
        write_text(listed, ''.join(f'{name}\n' for name in sorted(names)))
    print(f'{arguments.out}: {len(names)} sequences')
    notes.show()


if __name__ == '__main__':
    run_command('youtube_vis_to_davis', main)
